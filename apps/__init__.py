"""Programs: the command line, the live session and the benchmarks."""
