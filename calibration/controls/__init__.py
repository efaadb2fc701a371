"""What a decoder reads: motor cortex, eyes or muscle."""
