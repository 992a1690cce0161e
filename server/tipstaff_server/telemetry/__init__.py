"""What is told of each interaction, beside metrics: spans, and lines of an access log.

`observer` has both. `tracing` needs the extra `tracing` and is imported only if an endpoint is set;
`trace_context` reads what a caller sends. Nothing here holds a text of an interaction.
"""
