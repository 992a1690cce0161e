"""How a request is scored, and how a score is explained; knows neither protobuf nor grpc.

`scorer` takes a `Task` to a `Score`. `pending` holds a request while its text is encoded and its
runs are queued, across the threads that do so. `explain` searches for the words that lowered a
score, after it was given. `cache` remembers scores, and `profile` describes how long runs take.
"""
