"""Other people's trials: the bank, and the decoders that are made of it."""
