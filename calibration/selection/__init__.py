"""Choosing a decoder: nested, time-ordered validation."""
