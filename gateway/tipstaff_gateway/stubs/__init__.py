"""Generated from gateway/protos; `make protos` renews it."""
