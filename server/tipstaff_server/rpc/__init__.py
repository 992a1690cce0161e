"""The wire: the only room of the server that knows protobuf and grpc.

`servicer` answers Score calls, `health` the health service, and `server` listens. `convert` turns
messages into values and back, `statuses` turns errors into statuses.
"""
