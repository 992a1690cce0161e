"""The desk's pages, a module for each part of the desk, with its `routes`.

A handler reads the request, calls the workspace, and renders a page or redirects to one.
"""
