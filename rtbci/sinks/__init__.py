"""Where results go: LSL, OSC and the live view."""
