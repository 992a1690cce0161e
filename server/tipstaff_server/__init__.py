"""Serves evaluators over gRPC."""

from tipstaff_server import privacy as privacy
