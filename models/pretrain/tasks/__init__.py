"""Stage II: what is trained on the states of a frozen encoder."""
