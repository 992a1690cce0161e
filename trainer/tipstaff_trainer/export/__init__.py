"""Turns a trained model into graphs that the server runs, and writes bundles."""
