from __future__ import annotations

import socket
import subprocess

import pytest
from running_server import command

from tipstaff.host_ports import split_host_port
from tipstaff_server import addresses
from tipstaff_server.addresses import bind_problem, check_address


def refused(bundle, *words: object) -> str:
    """The one line with which a server refuses to start."""
    done = subprocess.run(
        command("serve", bundle, "--metrics-listen", "off", *words),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_hosts_and_ports():
    assert split_host_port("localhost:1") == ("localhost", 1)
    assert split_host_port("[::1]:65535") == ("::1", 65535)
    for wrong in ("localhost", ":1", "host:", "host:65536", "host:-1", "::1:1", "host:१"):
        with pytest.raises(ValueError, match=r"HOST:PORT|brackets"):
            split_host_port(wrong)


@pytest.mark.parametrize("path", ["", "//", ".", "a\0b"])
def test_no_path_at_all(path):
    with pytest.raises(ValueError, match="path"):
        check_address(f"unix:{path}")


def test_a_path_is_measured_in_bytes(bundle):
    check_address("unix:" + "x" * 107)
    for path in ("x" * 108, "é" * 54):
        with pytest.raises(ValueError, match="108 bytes, and that of a socket at most 107"):
            check_address(f"unix:{path}")
    line = refused(bundle, "--listen", "unix:/" + "x" * 200)
    assert "--listen" in line
    assert "201 bytes" in line


def test_what_is_in_the_way_of_a_socket_is_named_and_stays(bundle, tmp_path):
    file, folder, link = tmp_path / "file", tmp_path / "folder", tmp_path / "link"
    file.write_text("kept")
    folder.mkdir()
    link.symlink_to(file)
    for path, why in {
        file: "is a file and not a socket",
        link: "is a file and not a socket",
        folder: "is a folder",
        tmp_path / "absent" / "socket": f"there is no folder {tmp_path / 'absent'}",
        file / "socket": f"{file} is not a folder",
    }.items():
        line = refused(bundle, "--listen", f"unix:{path}")
        assert f"--listen unix:{path}: " in line
        assert why in line
    assert file.read_text() == "kept"
    assert sorted(tmp_path.iterdir()) == [file, folder, link]


def test_a_lack_of_permission_is_worded(tmp_path, monkeypatch):
    # Not tried on a real folder or port: root, who may run the tests, lacks no permission.
    class Refusing(socket.socket):
        def bind(self, address):
            raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(addresses.socket, "socket", Refusing)
    assert bind_problem(f"unix:{tmp_path / 'socket'}") == "this user may not write to its folder"
    assert bind_problem("127.0.0.1:80") == "this user may not listen on so low a port"


def test_a_leftover_socket_is_replaced_whatever_its_name(start, bundle, tmp_path):
    path = tmp_path / "a %41#?é.sock"
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(path))
    server = start(bundle, address=f"unix:{path}")
    assert path.is_socket()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert server.stop() == 0


def test_a_socket_that_another_program_uses_is_left(bundle, tmp_path):
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert "whether a server answers there" in refused(bundle, "--listen", f"unix:{path}")
        assert path.is_socket()


def test_ports_and_hosts_that_do_not_do(bundle):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(bundle, "--listen", f"127.0.0.1:{port}")
    assert "another program listens there already" in line
    assert "not an address of this machine" in refused(bundle, "--listen", "203.0.113.1:0")
    assert "knows no host 'nowhere.invalid'" in refused(bundle, "--listen", "nowhere.invalid:0")
    assert "ports end at 65535" in refused(bundle, "--listen", "127.0.0.1:65536")
