"""Looking at a recording again."""
