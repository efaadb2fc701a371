"""How good forecasts are on people that the weights have never seen."""
