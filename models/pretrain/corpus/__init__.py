"""From recordings to prepared ones: finding, reading, judging, filtering, writing."""
