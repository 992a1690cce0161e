"""The desk's pages, a module for each place: each reads what was ctx, calls the workspace, shows.

Every module has `routes()`.
"""
