from __future__ import annotations

import pytest

from tipstaff.channel import checked_target


@pytest.mark.parametrize(
    "target",
    [
        "localhost:50051",
        "10.0.0.7:1",
        "[::1]:50051",
        "tipstaff.guardrails.svc.cluster.local:50051",
        "unix:/run/tipstaff.sock",
        "unix:relative.sock",
        "dns:///tipstaff:50051",
    ],
)
def test_addresses(target):
    assert checked_target(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "localhost",
        "localhost:",
        ":50051",
        "localhost:http",
        "localhost:0",
        "localhost:65536",
        "::1:50051",
        "http://localhost:50051",
        "local host:50051",
        "localhost:50051\n",
    ],
)
def test_what_is_no_address(target):
    with pytest.raises(ValueError, match="give host:port"):
        checked_target(target)
