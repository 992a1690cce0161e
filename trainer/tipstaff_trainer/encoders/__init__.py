"""Base encoders: finding and loading them, and their embeddings as they are."""
