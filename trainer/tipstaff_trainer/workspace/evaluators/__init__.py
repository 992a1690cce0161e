"""Evaluators: versions in the repository, and the server that scores with them."""
