"""Certified thresholds: the rows that may prove a bound, and the laxest cuts that meet it."""
