"""The quality of labels, and which of them a person should review."""
