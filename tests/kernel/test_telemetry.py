"""Traces always have ids, metrics are read by Prometheus, logs are one discreet line each."""

import io
import json
import logging
import re
import threading
import timeit
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from banyan.kernel import telemetry
from banyan.kernel.contract import Problem
from banyan.kernel.telemetry import TelemetrySettings

FAR = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FAR_TRACE = "0af7651916cd43dd8448eb211c80319c"


class SoldOut(Problem, status=409):
    """There is nothing left of it."""


class Offline(Problem, status=503):
    """Nobody answers there."""


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Let telemetry speak into a buffer, and fall silent afterwards."""
    stream = io.StringIO()
    telemetry.configure("shop", "worker-1", TelemetrySettings(), stream=stream)
    yield stream
    telemetry.close()


@pytest.fixture
def quiet() -> Iterator[None]:
    """Speak to nobody about spans: as in most processes."""
    telemetry.configure("shop", "worker-1", TelemetrySettings(), stream=io.StringIO())
    yield
    telemetry.close()


class Collector:
    """An OTLP collector on a loopback port, that keeps what it is sent."""

    def __init__(self) -> None:
        received: list[ExportTraceServiceRequest] = []

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    received.append(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.received = received
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def spans(self) -> dict[str, Span]:
        """Have everything sent, and list it by name."""
        telemetry.close()
        return {
            span.name: span
            for request in self.received
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }

    def close(self) -> None:
        """Stop listening."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Send spans to a collector."""
    opened = Collector()
    settings = TelemetrySettings(otlp_endpoint=opened.address)
    telemetry.configure("shop", "worker-1", settings, stream=io.StringIO())
    yield opened
    telemetry.close()
    opened.close()


def told(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_trace_has_an_id_although_nobody_collects_it(quiet: None) -> None:
    with telemetry.span("request"):
        outer = telemetry.trace_id()
        with telemetry.span("call"):
            inner = telemetry.trace_id()
    with telemetry.span("request"):
        other = telemetry.trace_id()

    assert re.fullmatch(r"[0-9a-f]{32}", outer)
    assert inner == outer
    assert other != outer


def test_outside_of_every_trace_an_unused_id_is_told(quiet: None) -> None:
    assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", telemetry.trace_id())
    assert telemetry.carry() == ""


def test_a_trace_goes_on_where_it_is_carried(quiet: None) -> None:
    with telemetry.span("sender"):
        trace, carried = telemetry.trace_id(), telemetry.carry()

    with telemetry.follow(carried), telemetry.span("receiver"):
        assert telemetry.trace_id() == trace


def test_where_no_trace_was_carried_none_goes_on(quiet: None) -> None:
    with telemetry.span("another's"):
        another = telemetry.trace_id()
        with telemetry.follow(""), telemetry.span("receiver"):
            assert telemetry.trace_id() != another
        assert telemetry.trace_id() == another


def test_a_sender_s_wish_to_be_recorded_is_carried_on(quiet: None) -> None:
    with telemetry.follow(FAR), telemetry.span("receiver"):
        assert telemetry.carry() == FAR


def test_what_was_only_caused_by_a_trace_has_a_trace_of_its_own(quiet: None) -> None:
    with telemetry.span("cause"):
        with telemetry.span("effect", link=FAR):
            effect = telemetry.trace_id()
        cause = telemetry.trace_id()

    assert len({effect, cause, FAR_TRACE}) == 3


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"))
def test_nothing_that_claims_to_be_a_trace_causes_a_fault(traceparent: str) -> None:
    with telemetry.follow(traceparent), telemetry.span("receiver", link=traceparent):
        assert re.fullmatch(r"(?!0{32})[0-9a-f]{32}", telemetry.trace_id())


def test_a_span_without_a_collector_costs_under_ten_microseconds(quiet: None) -> None:
    def enter() -> None:
        with telemetry.span("call"):
            pass

    with telemetry.span("request"):
        cheapest = min(timeit.repeat(enter, number=1000, repeat=20)) / 1000

    assert cheapest < 10e-6


def test_spans_reach_the_collector_with_their_kin(collector: Collector) -> None:
    with telemetry.follow(FAR), telemetry.span("GET /", kind="server", attributes={"status": 200}):
        with telemetry.span("ordering.place"):
            telemetry.note("feature_flag.evaluation", {"feature_flag.key": "new"})
        with telemetry.span("mail", kind="consumer", link=telemetry.carry()):
            pass

    spans = collector.spans()
    request, call, mail = spans["GET /"], spans["ordering.place"], spans["mail"]
    assert request.trace_id.hex() == FAR_TRACE
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert request.kind == Span.SpanKind.SPAN_KIND_SERVER
    assert request.attributes[0].key == "http.response.status_code"
    assert request.attributes[0].value.int_value == 200
    assert (call.trace_id, call.parent_span_id) == (request.trace_id, request.span_id)
    assert call.events[0].name == "feature_flag.evaluation"
    assert mail.trace_id != request.trace_id
    assert mail.links[0].span_id == request.span_id


def test_a_collected_span_is_what_is_carried_on(collector: Collector) -> None:
    with telemetry.span("sender"):
        _, trace, span, flags = telemetry.carry().split("-")

    sent = collector.spans()["sender"]
    assert (trace, span) == (sent.trace_id.hex(), sent.span_id.hex())
    assert int(flags, 16) & 1


@pytest.mark.parametrize(
    ("error", "status", "attributes"),
    [
        (SoldOut(), "STATUS_CODE_UNSET", {"banyan.problem": "sold_out"}),
        (Offline(), "STATUS_CODE_ERROR", {"banyan.problem": "offline", "error.type": "Offline"}),
        (ValueError("jane@example.com"), "STATUS_CODE_ERROR", {"error.type": "ValueError"}),
    ],
)
def test_a_span_fails_by_faults_and_not_by_expected_problems(
    collector: Collector, error: Exception, status: str, attributes: dict[str, str]
) -> None:
    with pytest.raises(type(error)), telemetry.span("work"):
        raise error

    span = collector.spans()["work"]
    assert Status.StatusCode.Name(span.status.code) == status
    assert {a.key: a.value.string_value for a in span.attributes} == attributes
    assert b"jane" not in span.SerializeToString()


def test_each_door_has_its_histogram(quiet: None) -> None:
    telemetry.observe("http", 0.03, method="GET", route="/carts/{id}", status=200)
    telemetry.observe("call", 0.002, operation="catalog.product", outcome="ok")
    telemetry.observe("transaction", 0.001, module="catalog", outcome="ok")
    telemetry.observe("event", 0.2, reaction="Index.hear", outcome="ok")

    text = telemetry.metrics_text().decode()
    assert (
        'http_server_request_duration_seconds_count{http_request_method="GET",'
        'http_response_status_code="200",http_route="/carts/{id}",service_instance_id="worker-1"} 1'
    ) in text
    assert 'banyan_call_duration_seconds_sum{banyan_operation="catalog.product"' in text
    assert 'le="0.001",service_instance_id="worker-1"} 1.0' in text
    assert 'banyan_event_delivery_duration_seconds_count{banyan_outcome="ok"' in text
    assert "_created" not in text


def test_to_measure_a_door_costs_under_twenty_microseconds(quiet: None) -> None:
    def measure() -> None:
        telemetry.observe("http", 0.03, method="GET", route="/carts/{id}", status=200)

    cheapest = min(timeit.repeat(measure, number=1000, repeat=20)) / 1000

    assert cheapest < 20e-6


def test_counts_add_up_and_levels_replace(quiet: None) -> None:
    telemetry.count("banyan.event.dead", module="search")
    telemetry.count("banyan.event.dead", 2, module="search")
    telemetry.level("banyan.outbox.waiting", 7, module="catalog")
    telemetry.level("banyan.outbox.waiting", 4, module="catalog")

    text = telemetry.metrics_text().decode()
    assert (
        'banyan_event_dead_total{banyan_module="search",service_instance_id="worker-1"} 3' in text
    )
    assert 'banyan_outbox_waiting{banyan_module="catalog",service_instance_id="worker-1"} 4' in text


def test_before_it_is_configured_telemetry_is_silent_and_no_obstacle() -> None:
    telemetry.close()

    telemetry.observe("http", 0.1)
    telemetry.count("banyan.event.dead")
    telemetry.level("banyan.outbox.waiting", 1)
    telemetry.note("nothing", {})

    assert telemetry.metrics_text() == b""


def test_configuring_again_replaces_and_repeats_nothing(lines: io.StringIO) -> None:
    again = io.StringIO()
    telemetry.count("banyan.before")

    telemetry.configure("shop", "worker-2", TelemetrySettings(), stream=again)
    telemetry.log("banyan.test").info("once")

    assert lines.getvalue() == ""
    assert [(line["event"], line["instance"]) for line in told(again)] == [("once", "worker-2")]
    assert b"banyan_before" not in telemetry.metrics_text()


def test_a_record_is_one_line_with_its_trace_and_its_speaker(lines: io.StringIO) -> None:
    with telemetry.span("request"):
        telemetry.log("banyan.kernel.outbox").warning("replayed", events=3, note="two\nlines")
        trace = telemetry.trace_id()

    (line,) = told(lines)
    assert line.pop("time")
    assert line.pop("span_id")
    assert line == {
        "event": "replayed",
        "level": "warning",
        "logger": "banyan.kernel.outbox",
        "events": 3,
        "note": "two\nlines",
        "trace_id": trace,
        "service": "shop",
        "instance": "worker-1",
    }


def test_libraries_speak_as_we_do(lines: io.StringIO) -> None:
    with telemetry.span("request"):
        logging.getLogger("some.library").error("lost %s", "jane@example.com")
        trace = telemetry.trace_id()

    (line,) = told(lines)
    assert (line["event"], line["level"], line["logger"], line["trace_id"]) == (
        "lost [email]",
        "error",
        "some.library",
        trace,
    )


def test_a_fault_is_one_line_with_its_traceback_and_without_personal_data(
    lines: io.StringIO,
) -> None:
    try:
        int("jane@example.com, card 4111 1111 1111 1111")
    except ValueError:
        telemetry.log("banyan.test").exception("fault", email="jane@example.com")

    (line,) = told(lines)
    assert "ValueError: invalid literal for int() with base 10: '[email], card [card]'" in str(
        line["exception"]
    )
    assert line["email"] == "[private]"


@pytest.mark.parametrize("strange", ["\ud800", 10**40, {1: b"\xff"}, object(), float("inf")])
def test_no_value_whatever_breaks_a_record(lines: io.StringIO, strange: object) -> None:
    telemetry.log("banyan.test").info("strange", value=strange)

    (line,) = told(lines)
    assert line["event"] == "strange"
    assert not isinstance(line["value"], float)


def test_below_its_level_nothing_is_said(lines: io.StringIO) -> None:
    telemetry.log("banyan.test").debug("whispered")
    logging.getLogger("some.library").debug("whispered")

    assert lines.getvalue() == ""


def test_for_human_readers_there_is_plain_text() -> None:
    stream = io.StringIO()
    telemetry.configure("shop", "worker-1", TelemetrySettings(format="text"), stream=stream)

    telemetry.log("banyan.test").info("migrated", files=3)
    telemetry.close()

    assert re.search(r"\[info +\] migrated +\[banyan.test\] files=3\n", stream.getvalue())
