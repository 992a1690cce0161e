"""Who may make a call: reads its token or its caller's name, before its message is parsed."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2

from tipstaff_server.access.callers import ANYONE, Caller, Callers
from tipstaff_server.access.current import set_caller
from tipstaff_server.errors import Forbidden, RequestError, Unauthenticated
from tipstaff_server.metrics import Metrics
from tipstaff_server.rpc.statuses import status_of

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_REFLECTION = "grpc.reflection."
_TOKEN_KEY = "authorization"
_SCHEME = "bearer "


class Doors:
    """Lets calls in, and notes their callers.

    Args:
        callers: The callers that are known now.
        metrics: Counts who is turned away.
        caller_key: The metadata key in which callers name themselves; empty for none.
        open_reflection: Whether reflection needs no token.
    """

    def __init__(
        self,
        callers: Callable[[], Callers],
        metrics: Metrics,
        *,
        caller_key: str = "",
        open_reflection: bool = False,
    ) -> None:
        self._callers = callers
        self._metrics = metrics
        self._caller_key = caller_key
        self._open_reflection = open_reflection

    async def admit(self, service: str, method: str, context: grpc.aio.ServicerContext) -> None:
        """Lets a call in, or ends it as UNAUTHENTICATED or PERMISSION_DENIED."""
        try:
            set_caller(self._caller(service, method, context))
        except RequestError as error:
            status = status_of(error)
            self._metrics.refused(status.reason)
            await context.abort(status.code, status.message)

    def _caller(self, service: str, method: str, context: grpc.aio.ServicerContext) -> Caller:
        callers = self._callers()
        open_to_all = service == _HEALTH or (
            self._open_reflection and service.startswith(_REFLECTION)
        )
        if not callers.need_tokens:
            return callers.named(_metadata(context, self._caller_key))
        if open_to_all:
            return ANYONE
        token = _metadata(context, _TOKEN_KEY)
        if not token:
            raise Unauthenticated(
                "this server wants a token: send `authorization: Bearer TOKEN` as metadata"
            )
        if not token.lower().startswith(_SCHEME):
            raise Unauthenticated("the metadata `authorization` is not `Bearer TOKEN`")
        caller = callers.with_token(token[len(_SCHEME) :].strip())
        if caller is None:
            raise Unauthenticated("the token belongs to no caller: it is wrong, or was revoked")
        if not service.startswith(_REFLECTION) and not caller.may_call(method):
            raise Forbidden(f"caller {caller.name} may not call {method}")
        return caller


def _metadata(context: grpc.aio.ServicerContext, key: str) -> str:
    """The text of a metadata key; empty without one."""
    if key:
        for name, value in context.invocation_metadata() or ():
            if name == key and isinstance(value, str):
                return value
    return ""
