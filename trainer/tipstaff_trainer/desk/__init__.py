"""The desk: a web application to review labels, train evaluators and try them.

The pages call `workspace`, which holds the logic.
"""
