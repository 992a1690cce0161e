"""Spans by OpenTelemetry, sent as OTLP over HTTP, and the scores as events if asked for."""

from __future__ import annotations

import time
from typing import Any

from tipstaff.errors import UsageError
from tipstaff_server.telemetry.interaction import Interaction
from tipstaff_server.telemetry.trace_context import TraceContext

try:
    from opentelemetry import trace
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        SpanKind,
        Status,
        StatusCode,
        TraceFlags,
        set_span_in_context,
    )
except ModuleNotFoundError as error:
    raise UsageError(
        f"spans need the module {error.name!r}: pip install 'tipstaff[server,tracing]'",
        field="trace_endpoint",
    ) from error

_NAME = "tipstaff_server"
_EVENT = "gen_ai.evaluation.result"
# How long the last spans may take to be sent, when the server stops.
_CLOSE_MILLISECONDS = 3000


class _Ids(RandomIdGenerator):
    """Gives a trace that begins here the id that was chosen for it."""

    next_trace_id = 0

    def generate_trace_id(self) -> int:
        return self.next_trace_id or super().generate_trace_id()


class Tracing:
    """Records spans and sends them from a thread of its own.

    Args:
        endpoint: Where OTLP goes over HTTP, as in `http://localhost:4318`.
        evaluations: Whether each recorded score is also an event `gen_ai.evaluation.result`.
    """

    def __init__(self, endpoint: str, *, evaluations: bool = False) -> None:
        resource = Resource.create({"service.name": "tipstaff"})
        base = endpoint.rstrip("/")
        self._ids = _Ids()
        self._provider = TracerProvider(resource=resource, id_generator=self._ids)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces"))
        )
        self._tracer = self._provider.get_tracer(_NAME)
        self._logs: LoggerProvider | None = None
        if evaluations:
            self._logs = LoggerProvider(resource=resource)
            self._logs.add_log_record_processor(
                BatchLogRecordProcessor(OTLPLogExporter(endpoint=f"{base}/v1/logs"))
            )

    def record(self, interaction: Interaction, context: TraceContext) -> None:
        """Records one interaction that has just ended: a span, and one for each of its steps."""
        end = time.time_ns()
        start = end - round(interaction.seconds * 1e9)
        parent = None
        if context.parent_id:
            flags = TraceFlags(TraceFlags.SAMPLED)
            caller = SpanContext(context.trace_id, context.parent_id, True, flags)
            parent = set_span_in_context(NonRecordingSpan(caller))
        # Belongs to one event loop, so nothing comes between.
        self._ids.next_trace_id = context.trace_id
        span = self._tracer.start_span(
            "tipstaff score",
            parent if parent is not None else trace.set_span_in_context(trace.INVALID_SPAN),
            SpanKind.SERVER,
            _attributes(interaction),
            start_time=start,
        )
        if interaction.score is None:
            span.set_status(Status(StatusCode.ERROR, interaction.code))
        inside = set_span_in_context(span)
        for name, seconds in interaction.steps:
            step = self._tracer.start_span(name, inside, start_time=start)
            start += round(seconds * 1e9)
            step.end(start)
        if self._logs is not None and interaction.score is not None:
            self._emit(interaction, inside, end)
        span.end(end)

    def close(self) -> None:
        """Sends what is recorded, and stops."""
        self._provider.force_flush(_CLOSE_MILLISECONDS)
        self._provider.shutdown()
        if self._logs is not None:
            self._logs.force_flush(_CLOSE_MILLISECONDS)
            self._logs.shutdown()

    def _emit(self, interaction: Interaction, inside: Any, now: int) -> None:
        assert self._logs is not None
        score = interaction.score
        assert score is not None
        self._logs.get_logger(_NAME).emit(
            LogRecord(
                timestamp=now,
                context=inside,
                event_name=_EVENT,
                attributes={
                    "gen_ai.evaluation.name": score.evaluator,
                    "gen_ai.evaluation.score.label": score.verdict.value,
                    "gen_ai.response.id": interaction.request_id,
                    **(
                        {}
                        if score.score is None
                        else {"gen_ai.evaluation.score.value": score.score}
                    ),
                },
            )
        )


def _attributes(interaction: Interaction) -> dict[str, str | int | bool | list[str]]:
    attributes: dict[str, str | int | bool | list[str]] = {
        "rpc.system": "grpc",
        "rpc.grpc.status_code": interaction.code,
        "tipstaff.request_id": interaction.request_id,
        "tipstaff.caller": interaction.caller,
        "tipstaff.evaluator": interaction.evaluator,
    }
    if (score := interaction.score) is not None:
        attributes |= {
            "tipstaff.version": score.version,
            "tipstaff.engine": score.engine,
            "tipstaff.verdict": score.verdict.value,
            "tipstaff.reasons": [reason.value for reason in score.reasons],
            "tipstaff.cached": score.cached,
        }
    return attributes
