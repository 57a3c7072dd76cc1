"""What the gateway says itself, in the words and with the headers of the processes behind it."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from banyan.engines.endpoints import Json
from banyan.engines.routing import LIVE, READY
from banyan.kernel.edge import MOST_BYTES
from banyan.kernel.entrance import Limits
from banyan.kernel.refusal import MEDIA_TYPE, RETRY_AFTER_SECONDS

_REFUSALS = {
    400: ("bad_request", "The request cannot be understood."),
    404: ("not_found", "There is nothing at this address."),
    408: ("request_too_slow", "The request took too long to arrive."),
    413: ("body_too_large", "The body of the request is larger than is accepted here."),
    426: ("upgrade_required", "This version of HTTP is not spoken here."),
    429: ("too_many_requests", "This client asks more often than is allowed here."),
    431: ("headers_too_large", "The headers of the request are larger than is accepted here."),
    500: ("internal_fault", "Something went wrong here that is not the caller's doing."),
    502: ("unavailable", "Whoever answers for this has said something that is no answer."),
    503: ("unavailable", "Nobody is there to answer for this; try again later."),
    504: ("unavailable", "Whoever answers for this does not do so in time; try again later."),
}
_EXPLAINED: Mapping[int, Json] = {400: {"errors": []}, 413: {"limit_bytes": MOST_BYTES}}
# No process has begun a trace: by this the access log knows the request. One that cannot even be
# read has no id, and a bare dash instead.
_TRACE = "gateway %STREAM_ID%"
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "trace-id": _TRACE,
    "x-content-type-options": "nosniff",
}
_NUL = {"safe_regex": {"regex": "[^?]*%00.*"}}
_BAD_PATH = {"parameter": "path", "detail": "It contains a control character"}


def replies(limits: Limits | None, pools: Sequence[str]) -> Json:
    """Say how the house is and why a request is refused: in a problem document (RFC 9457)."""
    well = [
        _reply(_all(_status(HTTPStatus.OK), _path({"exact": path})), {"json_format": said})
        for path, said in ((LIVE, {"ready": []}), (READY, {"ready": [*pools]}))
    ]
    pauses = {503: RETRY_AFTER_SECONDS}
    if limits:
        pauses[429] = math.ceil(60 / limits.requests_per_minute)
    refusals = [
        _reply(
            _status(status),
            _problem(code, title, _EXPLAINED.get(status, {})),
            {"retry-after": str(pauses[status])} if status in pauses else {},
        )
        for status, (code, title) in _REFUSALS.items()
    ]
    misspelt = _problem(*_REFUSALS[400], {"errors": [_BAD_PATH]})
    anything = _problem("refused", "This request is refused.", {})
    return {
        "mappers": [
            *well,
            _reply(_all(_status(400), _path(_NUL)), misspelt),
            *refusals,
            _reply(_status(400, "GE"), anything),
        ],
    }


def _reply(when: Json, body: Json, more: Mapping[str, str] | None = None) -> Json:
    """Say something in a case, with what every answer of the house says in its headers."""
    headers = [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in {**_HEADERS, **(more or {})}.items()
    ]
    return {"filter": when, "body_format_override": body, "headers_to_add": headers}


def _all(*filters: Json) -> Json:
    return {"and_filter": {"filters": [*filters]}}


def _status(status: int, comparison: str = "EQ") -> Json:
    value = {"default_value": status, "runtime_key": f"refusal.{status}"}
    return {"status_code_filter": {"comparison": {"op": comparison, "value": value}}}


def _path(matched: Json) -> Json:
    return {"header_filter": {"header": {"name": ":path", "string_match": matched}}}


def _problem(code: str, title: str, explained: Json) -> Json:
    return {
        "content_type": MEDIA_TYPE,
        "json_format": {
            "type": f"/problems/{code}",
            "title": title,
            "status": "%RESPONSE_CODE%",
            "detail": title,
            "instance": "%PATH(NQ)%",
            "code": code,
            "trace_id": _TRACE,
            "request_id": "%REQ(X-REQUEST-ID)%",
            **explained,
        },
    }
