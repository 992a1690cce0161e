"""The desk: where people review labels, train evaluators and try them, in a browser.

A face on `workspace`: pages read from it and call it, and decide nothing themselves.
"""
