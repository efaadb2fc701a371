"""Cue-based paradigms: what is shown when, as pure functions of a seed and a clock."""
