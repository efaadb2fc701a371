"""Offline training: data, objectives, loop."""
