"""Distils labelled interactions into evaluators."""
