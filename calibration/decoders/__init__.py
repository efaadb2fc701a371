"""The decoders, and the catalogue of them."""
