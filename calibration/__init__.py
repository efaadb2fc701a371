"""Few-shot calibration: trials, decoders, honest scores and subject profiles."""
