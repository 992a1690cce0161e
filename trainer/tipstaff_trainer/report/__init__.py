"""Renders reports, comparisons and model cards; nothing is measured here."""
