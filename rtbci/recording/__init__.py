"""Recordings: a folder for each session that a crash can't spoil, its reader, repair and export."""
