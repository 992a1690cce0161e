"""HTTP/2 frames by hand: for clients that gRPC's own library can't play."""

from __future__ import annotations

import socket
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
_END_STREAM, _END_HEADERS = 1, 4
_INITIAL_WINDOW_SIZE = 4


class RawConnection:
    """One connection to a gRPC server."""

    def __init__(self, address: str, *, window: int = 65535) -> None:
        """Connects.

        Args:
            address: HOST:PORT.
            window: Bytes of a reply that the server may send before it has to wait.
        """
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.sendall(_PREFACE)
        self._send(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, window))
        self._next_stream = 1

    def call(self, path: str, message: bytes | None) -> None:
        """Starts a call; without a message, its headers alone are sent."""
        fields = {
            ":method": "POST",
            ":scheme": "http",
            ":path": path,
            ":authority": "test",
            "content-type": "application/grpc",
            "te": "trailers",  # codespell:ignore te
        }
        # Each as a literal that isn't indexed (RFC 7541, 6.2.2), without Huffman coding.
        block = b"".join(
            b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
            for name, value in fields.items()
        )
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._send(HEADERS, _END_HEADERS, stream, block)
        if message is not None:
            framed = b"\0" + struct.pack(">I", len(message)) + message
            self._send(DATA, _END_STREAM, stream, framed)

    def ping(self) -> None:
        self._send(PING, 0, 0, bytes(8))

    def payload_of(self, kind: int, *, seconds: float) -> bytes:
        """The payload of the next frame of a kind.

        Raises:
            TimeoutError: None comes in time.
            EOFError: The connection ends before.
        """
        self.socket.settimeout(seconds)
        with self.socket.makefile("rb") as stream:
            while header := stream.read(9):
                payload = stream.read(int.from_bytes(header[:3], "big"))
                if header[3] == kind:
                    return payload
        raise EOFError

    def _send(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        header = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
        self.socket.sendall(header + struct.pack(">I", stream) + payload)
