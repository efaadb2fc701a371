"""What a running session shows of itself to other processes, and how they reach it."""
