"""The parts of `benchmarks/compare.py`: contenders, load, accounting, verdict, report."""
