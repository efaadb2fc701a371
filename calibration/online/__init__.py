"""The decoder in use: evidence and decisions, adaptation, and the shadow that judges it."""
