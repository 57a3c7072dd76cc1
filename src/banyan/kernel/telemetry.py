"""What the house tells about itself: traces, metrics and logs, and nothing about people."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Annotated, Any, Literal, TextIO, cast

import msgspec
import structlog
from opentelemetry import context, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from opentelemetry.trace import Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from banyan.kernel.contract import Problem
from banyan.kernel.security import discreet
from banyan.kernel.settings import Settings

Logger = structlog.stdlib.BoundLogger
Attribute = str | int | float | bool
Door = Literal["http", "call", "transaction", "event"]
Kind = Literal["internal", "server", "client", "producer", "consumer"]

METRICS_MEDIA_TYPE = CONTENT_TYPE_LATEST


class TelemetrySettings(Settings):
    """How loudly the house speaks, and to whom."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"
    environment: str = "development"
    # The address of a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318; without
    # one no span is kept, but every trace still has its id.
    otlp_endpoint: str = ""
    sampled: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0


def configure(
    service: str, instance: str, settings: TelemetrySettings, *, stream: TextIO | None = None
) -> None:
    """Start to tell, under the name of a service and of one of its instances.

    A second call replaces what the first one set up. Logs go to `stream`, or to standard error.
    """
    global _meters, _tracing  # noqa: PLW0603 - a process speaks with one voice
    close()
    resource = Resource(
        {
            "service.name": service,
            "service.instance.id": instance,
            "deployment.environment.name": settings.environment,
        }
    )
    _meters = _Meters(resource, instance)
    _tracing = _tracer_provider(resource, settings) if settings.otlp_endpoint else None
    _start_logging(service, instance, settings, stream or sys.stderr)


def close() -> None:
    """Send what is still to be sent, and fall silent."""
    global _meters, _tracing  # noqa: PLW0603 - see above
    if _tracing:
        _tracing.shutdown()
    if _meters:
        _meters.provider.shutdown()
    _meters = _tracing = None
    logging.getLogger().removeHandler(_handler)


def span(
    name: str,
    *,
    kind: Kind = "internal",
    attributes: Mapping[str, Attribute] | None = None,
    link: str = "",
) -> AbstractContextManager[Span]:
    """Enter a piece of work in the trace; at the outermost one, the trace begins.

    `link` is what `carry` told about work that caused this one but does not wait for it: then a
    trace of its own begins here, and points there.
    """
    if _tracing is None:
        return _Unrecorded(begins=bool(link))
    return _recorded(_tracing, name, SpanKind[kind.upper()], attributes, link)


def note(name: str, attributes: Mapping[str, Attribute]) -> None:
    """Add something that happened to the span that is open, if that is kept."""
    current = trace.get_current_span()
    if current.is_recording():
        current.add_event(name, attributes)


def trace_id() -> str:
    """Name the trace that we are in, as problems and logs do; outside of all, an unused name."""
    told = trace.get_current_span().get_span_context()
    return trace.format_trace_id(told.trace_id or _chance.generate_trace_id())


def carry() -> str:
    """Put where we are into a `traceparent` (W3C Trace Context), to be sent along or stored."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


class follow(AbstractContextManager[None]):  # noqa: N801 - it reads as what happens inside
    """Go on in a trace that was carried here; where none was that reads as one, none goes on."""

    __slots__ = ("_carried", "_token")

    def __init__(self, traceparent: str) -> None:
        nowhere = context.Context()
        told = {"traceparent": traceparent}
        self._carried = _propagator.extract(told, nowhere) if traceparent else nowhere

    def __enter__(self) -> None:
        self._token = context.attach(self._carried)

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)


class _Unrecorded(AbstractContextManager[Span]):
    """A span of which only the ids matter: it costs next to nothing inside another."""

    __slots__ = ("_begins", "_token")

    def __init__(self, *, begins: bool) -> None:
        self._begins = begins

    def __enter__(self) -> Span:
        current = trace.get_current_span()
        self._token = None
        if self._begins or not current.get_span_context().is_valid:
            ids = SpanContext(
                _chance.generate_trace_id(), _chance.generate_span_id(), is_remote=False
            )
            current = trace.NonRecordingSpan(ids)
            self._token = context.attach(trace.set_span_in_context(current))
        return current

    def __exit__(self, *_: object) -> None:
        if self._token:
            context.detach(self._token)


@contextmanager
def _recorded(
    tracing: TracerProvider,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, Attribute] | None,
    link: str,
) -> Iterator[Span]:
    cause = trace.get_current_span(_propagator.extract({"traceparent": link})).get_span_context()
    with tracing.get_tracer("banyan").start_as_current_span(
        name,
        context.Context() if link else None,
        kind=kind,
        attributes=_named(attributes or {}),
        links=[trace.Link(cause)] if cause.is_valid else None,
        # The text of an exception may quote a person's data: only its kind is kept.
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except Exception as error:
            _describe(opened, error)
            raise


def _describe(opened: Span, error: Exception) -> None:
    """A problem is an expected no; only a fault, or a problem of ours, makes a span fail."""
    expected = isinstance(error, Problem)
    if isinstance(error, Problem):
        opened.set_attribute("banyan.problem", error.code)
        expected = error.status < 500  # noqa: PLR2004 - where HTTP's server errors begin
    if not expected:
        opened.set_attribute("error.type", type(error).__qualname__)
        opened.set_status(StatusCode.ERROR)


def _tracer_provider(resource: Resource, settings: TelemetrySettings) -> TracerProvider:
    # Loading the exporter takes a fifth of a second: only for those who use it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    provider = TracerProvider(resource=resource, sampler=ParentBasedTraceIdRatio(settings.sampled))
    collector = OTLPSpanExporter(f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(collector))
    return provider


def observe(door: Door, seconds: float, **attributes: Attribute) -> None:
    """Record how long something took at one of the four doors."""
    if _meters:
        _, _, labels = _DOORS[door]
        _meters.duration(door, *[attributes[name] for name in labels]).observe(seconds)


def count(name: str, amount: int = 1, **attributes: Attribute) -> None:
    """Add to the number of times that something happened: `banyan.event.dead`, `…retried`."""
    if _meters:
        _meters.counter(name).add(amount, _named(attributes))


def level(name: str, value: float, **attributes: Attribute) -> None:
    """Set how much there is of something now, such as events that wait."""
    if _meters:
        _meters.gauge(name).set(value, _named(attributes))


def metrics_text() -> bytes:
    """Print all metrics as Prometheus reads them, in `METRICS_MEDIA_TYPE`."""
    return generate_latest(_meters.registry) if _meters else b""


class _Meters:
    """The instruments of one process, each made when it is first read.

    Those of the doors are Prometheus' own, which cost a tenth: a request passes many doors.
    """

    def __init__(self, resource: Resource, instance: str) -> None:
        self.registry = CollectorRegistry()
        disable_created_metrics()  # type: ignore[no-untyped-call] # Nobody asks when one began.
        reader = PrometheusMetricReader(
            scope_info_enabled=False,
            # Workers answer behind one port: without this, their counters would seem to jump.
            resource_attribute_filter=lambda name: name == "service.instance.id",
            registry=self.registry,
        )
        self.provider = MeterProvider(
            [reader],
            resource=resource,
            # Prometheus' text has no room for exemplars, and looking for them costs a third.
            exemplar_filter=AlwaysOffExemplarFilter(),
        )
        meter = self.provider.get_meter("banyan")
        self.counter = lru_cache(maxsize=None)(meter.create_counter)
        self.gauge = lru_cache(maxsize=None)(meter.create_gauge)
        doors = {
            door: Histogram(
                name,
                meaning,
                ["service_instance_id", *labels.values()],
                registry=self.registry,
                buckets=_BOUNDS,
            )
            for door, (name, meaning, labels) in _DOORS.items()
        }
        self.duration = lru_cache(maxsize=None)(
            lambda door, *told: doors[door].labels(instance, *told)
        )


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Name attributes as the semantic conventions do, and our own below `banyan.`."""
    return {
        name if "." in name else _STANDARD.get(name) or f"banyan.{name}": told
        for name, told in attributes.items()
    }


def log(name: str) -> Logger:
    """Speak under a name: `log(__name__).info("replayed", module=…, events=…)`.

    What happened is a fixed text, what it happened to are fields. One line per record, with the
    trace; what people own or what opens doors is blacked out.
    """
    return cast(
        Logger,
        structlog.wrap_logger(
            logging.getLogger(name),
            processors=[
                structlog.stdlib.filter_by_level,
                *_DRESS,
                structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=Logger,
            cache_logger_on_first_use=True,
        ),
    )


def _start_logging(
    service: str, instance: str, settings: TelemetrySettings, stream: TextIO
) -> None:
    def introduce(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
        return event | {"service": service, "instance": instance}

    steps: dict[str, list[Any]] = {
        "json": [introduce, structlog.processors.JSONRenderer()],
        "text": [
            structlog.dev.ConsoleRenderer(
                colors=False,
                timestamp_key="time",
                exception_formatter=structlog.dev.plain_traceback,
            )
        ],
    }
    _handler.setStream(stream)
    _handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # Libraries speak through the standard library: they are dressed like us.
            foreign_pre_chain=_DRESS,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *steps[settings.format],
            ],
        )
    )
    root = logging.getLogger()
    root.addHandler(_handler)
    root.setLevel(settings.level.upper())
    # Libraries tell of every request; what they complain about is enough.
    for library in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)


def _tell_trace(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    told = trace.get_current_span().get_span_context()
    if told.is_valid:
        event.setdefault("trace_id", trace.format_trace_id(told.trace_id))
        event.setdefault("span_id", trace.format_span_id(told.span_id))
    return event


def _black_out(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    return {name: told if name in _OURS else discreet(name, told) for name, told in event.items()}


_DOORS: dict[Door, tuple[str, str, dict[str, str]]] = {
    "http": (
        "http_server_request_duration_seconds",
        "From a request's arrival to its answer",
        {
            "method": "http_request_method",
            "route": "http_route",
            "status": "http_response_status_code",
        },
    ),
    "call": (
        "banyan_call_duration_seconds",
        "One call of an operation, by whichever link",
        {"operation": "banyan_operation", "outcome": "banyan_outcome"},
    ),
    "transaction": (
        "banyan_transaction_duration_seconds",
        "From begin to commit or rollback",
        {"module": "banyan_module", "outcome": "banyan_outcome"},
    ),
    "event": (
        "banyan_event_delivery_duration_seconds",
        "One reaction of one listener to one event",
        {"reaction": "banyan_reaction", "outcome": "banyan_outcome"},
    ),
}
_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
_STANDARD = {
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    "error": "error.type",
}

_OURS = frozenset({"time", "level", "logger", "trace_id", "span_id", "_record", "_from_structlog"})
_DRESS: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    _tell_trace,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.format_exc_info,
    _black_out,
]
_handler: logging.StreamHandler[TextIO] = logging.StreamHandler(sys.stderr)
_chance = RandomIdGenerator()
_propagator = TraceContextTextMapPropagator()
_tracing: TracerProvider | None = None
_meters: _Meters | None = None
