"""What `benchmarks/chaos.py` is made of: servers, ordinary callers, and faults."""
