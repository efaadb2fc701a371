"""Shipped weights, each with a card that says what it is and how it was made."""
