"""Choosing a source, montage and impedances."""
