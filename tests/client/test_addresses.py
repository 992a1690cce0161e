"""From targets to addresses."""

from __future__ import annotations

import socket
import threading

import pytest

from tipstaff.addresses import Addresses, listed, look_up, readable

NAME = "tipstaff.example"


class Names:
    """Stands in for the system's look-ups."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.asked = 0
        self.answers = threading.Event()
        self.answers.set()

    def getaddrinfo(self, host, port, **_):
        assert host == NAME
        self.asked += 1
        assert self.answers.wait(20)
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in self.addresses
        ]


@pytest.fixture
def names(monkeypatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


def look_up_now(addresses: Addresses) -> None:
    addresses.refresh()
    addresses._lookup.result(20)


@pytest.mark.parametrize(
    ("target", "addresses"),
    [
        ("ipv4:127.0.0.1:1,127.0.0.2:2", ("ipv4:127.0.0.1:1", "ipv4:127.0.0.2:2")),
        ("ipv4:///127.0.0.1:1, 127.0.0.1:1,", ("ipv4:127.0.0.1:1",)),
        ("ipv6:[::1]:1,[::2]:1", ("ipv6:[::1]:1", "ipv6:[::2]:1")),
        *(
            (target, (target,))
            for target in (
                "10.0.0.7:50051",
                "[::1]:50051",
                "dns:///10.0.0.7:50051",
                "dns:///[::1]:50051",
                "localhost:50051",
                "dns:///localhost:50051",
                "dns://10.0.0.10/tipstaff:50051",
                "unix:/run/tipstaff.sock",
                "unix:a,b",
                "xds:///tipstaff",
            )
        ),
    ],
)
def test_targets_that_need_no_look_up(names, target, addresses):
    found = Addresses(target)
    assert found.refresh() is None
    assert found.current == addresses
    assert found.authority == ""
    assert not names.asked


@pytest.mark.parametrize("target", [f"{NAME}:50051", f"dns:///{NAME}:50051", f"dns:{NAME}:50051"])
def test_a_name_stands_for_all_of_its_addresses(names, target):
    names.addresses = ["10.0.0.7", "10.0.0.8", "fe80::1%eth0", "10.0.0.7"]
    found = Addresses(target)
    assert found.current == ()
    look_up_now(found)
    assert found.current == (
        "ipv4:10.0.0.7:50051",
        "ipv4:10.0.0.8:50051",
        "ipv6:[fe80::1%25eth0]:50051",
    )
    assert found.authority == f"{NAME}:50051"


def test_a_name_may_be_left_to_grpc(names):
    found = Addresses(f"{NAME}:50051", by_grpc=True)
    assert found.refresh() is None
    assert found.current == (f"{NAME}:50051",)


def test_a_name_is_looked_up_again_after_a_while_and_sooner_when_calls_fail(names):
    now = 0.0
    names.addresses = ["10.0.0.7"]
    found = Addresses(f"{NAME}:50051", clock=lambda: now)
    look_up_now(found)
    first = found.current

    names.addresses = ["10.0.0.8"]
    for now, failing, asked in [
        *((0.9, True, 1), (9.9, False, 1)),
        *((10.0, False, 2), (10.9, True, 2), (11.1, True, 3)),
    ]:
        assert found.refresh(failing=failing) is None, "there are addresses to go on with"
        found._lookup.result(20)
        assert names.asked == asked, now
    assert first == ("ipv4:10.0.0.7:50051",)
    assert found.current == ("ipv4:10.0.0.8:50051",)


def test_the_same_addresses_in_another_order_are_no_change(names):
    names.addresses = ["10.0.0.7", "10.0.0.8"]
    now = 0.0
    found = Addresses(f"{NAME}:50051", clock=lambda: now)
    look_up_now(found)
    before = found.current
    names.addresses.reverse()
    now = 60.0
    look_up_now(found)
    assert found.current is before


def test_addresses_stay_when_a_name_is_lost(names):
    names.addresses = ["10.0.0.7"]
    now = 0.0
    found = Addresses(f"{NAME}:50051", clock=lambda: now)
    look_up_now(found)
    names.addresses = []
    now = 60.0
    with pytest.raises(OSError, match="not known"):
        look_up_now(found)
    assert found.current == ("ipv4:10.0.0.7:50051",)


def test_a_name_that_has_no_address_yet_is_looked_up_again_soon(names):
    now = 0.0
    found = Addresses(f"{NAME}:50051", clock=lambda: now)
    with pytest.raises(OSError, match="not known"):
        look_up_now(found)
    names.addresses = ["10.0.0.7"]
    now = 1.0
    look_up_now(found)
    assert found.current == ("ipv4:10.0.0.7:50051",)


def test_one_look_up_runs_at_a_time(names):
    names.answers.clear()
    found = Addresses(f"{NAME}:50051")
    lookups = {found.refresh() for _ in range(50)}
    names.addresses = ["10.0.0.7"]
    names.answers.set()
    [lookup] = lookups
    lookup.result(20)
    assert names.asked == 1


def test_a_look_up_that_cannot_start_leaves_the_addresses_and_is_tried_again(names, monkeypatch):
    now = 0.0
    names.addresses = ["10.0.0.7"]
    found = Addresses(f"{NAME}:50051", clock=lambda: now)

    def fails(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fails)
        with pytest.raises(OSError, match="new thread"):
            look_up_now(found)
    now = 1.0
    look_up_now(found)
    assert found.current == ("ipv4:10.0.0.7:50051",)

    now = 60.0
    monkeypatch.setattr(threading.Thread, "start", fails)
    assert found.refresh() is None
    assert found.current == ("ipv4:10.0.0.7:50051",)


def test_a_look_up_that_ends_in_an_error_nobody_foresaw_is_followed_by_others(names, monkeypatch):
    """Once, it never ended: no other followed, and the addresses stayed for good."""
    now = 0.0
    names.addresses = ["10.0.0.7"]
    found = Addresses(f"{NAME}:50051", clock=lambda: now)

    def fails(*_, **__):
        raise MemoryError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", fails)
        with pytest.raises(OSError, match="no memory"):
            look_up_now(found)
    now = 1.0
    look_up_now(found)
    assert found.current == ("ipv4:10.0.0.7:50051",)


def test_a_name_that_cannot_be_one_has_no_address():
    with pytest.raises(OSError, match="valid name"):
        look_up("a" * 64 + ".example", 1)


def test_addresses_read_as_people_write_them():
    assert readable("ipv4:10.0.0.7:1") == "10.0.0.7:1"
    assert readable("ipv6:[::1]:1") == "[::1]:1"
    assert readable("unix:/run/tipstaff.sock") == "unix:/run/tipstaff.sock"
    assert readable(listed("unix:/a%23#?%.sock")[0]) == "unix:/a%23#?%.sock"
