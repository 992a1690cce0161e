"""Thresholds as a promise: which rows may prove it, how lax it lets the cuts be, and its record."""
