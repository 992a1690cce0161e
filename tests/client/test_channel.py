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
        "unix:" + "x" * 107,
        "dns:///tipstaff:50051",
        "dns:///tipstaff",
        "xds:///tipstaff",
        "unix-abstract:70000",
        "ipv4:10.0.0.7:50051",
        "ipv4:///10.0.0.7:50051, 10.0.0.8:50051,",
        "ipv6:[::1]:50051,[fe80::1%25eth0]:50051",
        "ipv6:%5B::1%5D:50051",
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
        "dns:///tipstaff:65536",
        "dns:tipstaff:0",
    ],
)
def test_what_is_no_address(target):
    with pytest.raises(ValueError, match="give host:port"):
        checked_target(target)


@pytest.mark.parametrize(
    "target",
    [
        "ipv4:",
        "ipv4:tipstaff:50051",
        "ipv4:10.0.0.7",
        "ipv4:10.0.0.7:50051,10.0.0.8",
        "ipv4:10.0.0.7:50051;10.0.0.8:50051",
        "ipv4:10.0.0.7:0",
        "ipv4:10.0.0.7:65536",
        "ipv4:10.1:50051",
        "ipv4:[::1]:50051",
        "ipv6:[::1]",
        "ipv6:::1:50051",
        "ipv6:[::1]:50051,10.0.0.7:50051",
    ],
)
def test_what_is_no_list_of_addresses(target):
    with pytest.raises(ValueError, match="has no IP address and port"):
        checked_target(target)


@pytest.mark.parametrize("target", ["unix:", "unix://", "unix:" + "x" * 108, "unix:" + "ü" * 54])
def test_what_is_no_path_of_a_socket(target):
    with pytest.raises(ValueError, match="1 to 107 bytes"):
        checked_target(target)
