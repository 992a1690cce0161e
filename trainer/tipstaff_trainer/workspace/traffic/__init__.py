"""Collected traffic: `collect` reads what servers kept, `live` shows it, `triage` queues rows.

An evaluator's traffic is a data set that grows, named after it. `monitoring` holds the statistics.
"""
