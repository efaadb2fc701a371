"""Parts that several windows are made of."""
