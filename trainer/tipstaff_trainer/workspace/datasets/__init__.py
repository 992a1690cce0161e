"""Data sets: stored, queried, read from and written to files."""
