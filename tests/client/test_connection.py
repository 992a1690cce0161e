"""What a probe says about a server, by the standard protocol's own messages."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckResponse

from tipstaff.connection import is_serving


@pytest.mark.parametrize("name", HealthCheckResponse.ServingStatus.keys())
def test_a_server_says_whether_it_serves(name):
    response = HealthCheckResponse(status=name).SerializeToString()
    assert is_serving(grpc.StatusCode.OK, response) is (name == "SERVING")


@pytest.mark.parametrize("code", [each for each in grpc.StatusCode if each.value[0]])
def test_any_other_reply_shows_that_a_server_is_alive(code):
    no_reply = code.name in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")
    assert is_serving(code) is not no_reply
