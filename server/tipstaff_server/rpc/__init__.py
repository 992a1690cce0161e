"""The wire: the only code of the server that knows protobuf and grpc."""
