"""How good predictions are: metrics with intervals, slices, comparisons, calibration."""
