"""Who may ask what, and how much of it; knows neither grpc nor protobuf.

`callers` reads the file of callers and their tokens, `certificates` the server's TLS files, and
`watched` follows both while the server runs. `limits` and `fairness` are pure: the time is passed
in. `gate` applies them to each interaction, and `current` has the caller of the call under way.
"""
