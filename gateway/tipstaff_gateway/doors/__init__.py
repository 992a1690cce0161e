"""One module for each protocol that the gateway speaks."""
