"""How good a decoder is, honestly."""
