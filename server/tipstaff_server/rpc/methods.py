"""Registers services so that each call is counted and let in, and a broken message gets a status.

gRPC would parse a message before the method sees the call: one that can't be parsed would end as
UNKNOWN, with a traceback in the log. Here methods get bytes, and parse them within the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tipstaff_server.rpc.doors import Doors
from tipstaff_server.rpc.malformed import MalformedMessages

_MALFORMED = "the message can't be parsed: it is broken, or has text that is not UTF-8"

_Parse = Callable[[bytes], Any]


class Methods:
    """Takes services from generated code, as a gRPC server does, and passes them on.

    Attributes:
        idle: Set while no call with a single reply is at work. Streams don't count: they last as
            long as their callers like.
    """

    def __init__(self, server: grpc.aio.Server, malformed: MalformedMessages, doors: Doors) -> None:
        self._server = server
        self._doors = doors
        self._malformed = malformed
        self._working = 0
        self.idle = asyncio.Event()
        self.idle.set()

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        """Adds a service.

        Args:
            service: Its full name.
            handlers: Its methods by name.
        """
        checked = {
            name: self._checked(handler, service, name) for name, handler in handlers.items()
        }
        generic = grpc.method_handlers_generic_handler(service, checked)
        self._server.add_generic_rpc_handlers((generic,))

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Ignores the same service, which generated code offers in this form too."""

    def _checked(
        self, handler: grpc.RpcMethodHandler, service: str, name: str
    ) -> grpc.RpcMethodHandler:
        serializer = handler.response_serializer
        read = self._reader(handler.request_deserializer, f"/{service}/{name}")
        admit = partial(self._doors.admit, service, name)
        if handler.unary_unary:
            method = self._unary_unary(handler.unary_unary, read, admit)
            return grpc.unary_unary_rpc_method_handler(method, response_serializer=serializer)
        if handler.unary_stream:
            method = _unary_stream(handler.unary_stream, read, admit)
            return grpc.unary_stream_rpc_method_handler(method, response_serializer=serializer)
        method = _stream_stream(handler.stream_stream, read, admit)
        return grpc.stream_stream_rpc_method_handler(method, response_serializer=serializer)

    def _reader(self, parse: _Parse, path: str) -> Callable[..., Any]:
        async def read(message: bytes, context: grpc.aio.ServicerContext) -> Any:
            try:
                return parse(message)
            except (DecodeError, ValueError):
                self._malformed.add(path, context.peer())
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _MALFORMED)

        return read

    def _unary_unary(
        self, method: Callable[..., Any], read: Callable[..., Any], admit: Callable[..., Any]
    ) -> Any:
        async def answer(message: bytes, context: grpc.aio.ServicerContext) -> Any:
            self._working += 1
            self.idle.clear()
            try:
                await admit(context)
                return await method(await read(message, context), context)
            finally:
                self._working -= 1
                if not self._working:
                    self.idle.set()

        return answer


def _unary_stream(
    method: Callable[..., Any], read: Callable[..., Any], admit: Callable[..., Any]
) -> Any:
    async def answer(message: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        await admit(context)
        async for reply in method(await read(message, context), context):
            yield reply

    return answer


def _stream_stream(
    method: Callable[..., Any], read: Callable[..., Any], admit: Callable[..., Any]
) -> Any:
    async def answer(
        messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        await admit(context)
        requests = (await read(message, context) async for message in messages)
        async for reply in method(requests, context):
            yield reply

    return answer
