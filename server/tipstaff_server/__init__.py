"""Serves evaluators over gRPC."""
