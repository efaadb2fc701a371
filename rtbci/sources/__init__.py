"""Where signals come from: boards, streams, recordings and the simulator."""
