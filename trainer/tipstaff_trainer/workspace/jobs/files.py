"""The files in a job's folder."""

LOG_FILE = "log.txt"
# The bundle that a training makes, and the curves that it logs there.
BUNDLE_FOLDER = "bundle"
CURVES_FILE = f"{BUNDLE_FOLDER}/training/metrics.jsonl"
# What people read.
REPORT_FOLDER = "report"
COMPARISON_FOLDER = "comparison"
