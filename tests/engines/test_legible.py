"""What a person reads of what processes write."""

from __future__ import annotations

from banyan.engines.legible import legible

RECORD = (
    '{"time":"2026-01-02T03:04:05.6Z","level":"warning","event":"broker","logger":"banyan.x",'
    '"service":"catalog","instance":"catalog-1","error":"Timeout","told":"two words"}'
)


def plain(line: str) -> str:
    return "".join(text for text, _ in legible(line))


def test_a_record_is_told_by_time_process_level_event_and_fields() -> None:
    told = plain(f"catalog-1 | {RECORD}")

    assert told.split() == [
        *("03:04:05", "catalog-1", "warning", "broker", "error=Timeout", 'told="two', 'words"')
    ]


def test_a_request_at_the_gateway_is_told_by_what_was_asked_and_answered() -> None:
    told = plain('gateway | {"method":"GET","route":"/api","status":200,"ms":3,"span":null}')

    assert told.split() == ["gateway", "info", "GET", "/api", "200", "ms=3"]


def test_what_is_no_record_stays_as_it_is() -> None:
    for line in ("ready http://127.0.0.1:8000", "nats | [ERR] oh", "one | {not json", "one | [1]"):
        assert plain(line) == line


def test_a_stack_trace_is_shown_in_lines() -> None:
    told = plain('one | {"event":"fault","level":"error","exception":"Traceback\\n  here"}')

    assert told.splitlines()[1:] == ["    Traceback", "      here"]


def test_nothing_that_is_written_steers_the_terminal() -> None:
    record = '{"event":"a\\u001b[2Jb","field":"\\u001b]0;x","\\u009b":1,"exception":"\\u001bc"}'

    assert not any(one in plain(f"one | {record}") for one in "\x1b\x9b")
    assert "\x1b" not in plain("one | \x1b[2J")
