from __future__ import annotations

import grpc
import pytest

from tipstaff_server import errors
from tipstaff_server.rpc.statuses import status_of


@pytest.mark.parametrize("kind", errors.RequestError.__subclasses__())
def test_every_error_of_a_request_has_a_status_of_its_own(kind):
    made = {
        errors.InvalidRequest: lambda: kind("output", "absent"),
        errors.Overloaded: lambda: kind("full", reason="queue_full", retry_after=0.0204),
    }.get(kind, lambda: kind("why"))()
    status = status_of(made)
    assert status.reason != "internal"
    assert status.message == str(made)
    documented = (errors.__doc__ or "").partition(kind.__name__)[2].splitlines()[0]
    assert status.code.name in documented


def test_overload_says_when_to_try_again():
    status = status_of(errors.Overloaded("full", reason="deadline", retry_after=0.0204))
    assert (status.code, status.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "deadline")
    assert ("grpc-retry-pushback-ms", "21") in status.trailers("x")


def test_a_request_id_that_metadata_cannot_carry_is_replaced():
    status = status_of(errors.NotReady("loading"))
    assert status.trailers("é\n") == (("tipstaff-request-id", "??"),)
