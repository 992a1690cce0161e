"""Base encoders: loading them, and their embeddings without any training."""
