"""Measures predictions: metrics with intervals, slices, comparisons, calibration."""
