"""What the router refuses, and what it cannot know, in the words of the house."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, TypeAlias, cast

from litestar.connection import Request
from litestar.exceptions import (
    ClientException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.params import ParameterKwarg
from litestar.response import Response

from banyan.kernel import strict
from banyan.kernel.edge import MOST_BYTES
from banyan.kernel.refusal import (
    MEDIA_TYPE,
    BadRequest,
    BodyTooLarge,
    Flaw,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    problem_of,
    written,
)

AnyRequest: TypeAlias = Request[Any, Any, Any]

_MISSING = re.compile(r"Missing required \w+ parameter '(.+?)' for path")


def refused(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer an error with its problem document."""
    problem = problem_of(translated(request, error))
    status, headers, body = written(problem, path=request.scope["path"])
    return Response(
        body,
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={name.decode(): value.decode("latin-1") for name, value in headers},
    )


async def foreseen(request: AnyRequest) -> Response[None] | None:
    """Answer what needs no handler, and refuse before anything is done what could not be told."""
    if request.method == "OPTIONS":
        # The router's own answer knows one handler of a path only.
        template = request.scope["path_template"]
        route = next(one for one in request.app.routes if one.path_format == template)
        return Response(
            None, status_code=204, headers={"allow": ", ".join(_allowed(route.methods))}
        )
    _refuse_null(request)
    accept = next((said for name, said in request.scope["headers"] if name == b"accept"), b"")
    if accept and b"*/*" not in accept:
        _refuse_unacceptable(accept.decode("latin-1"), request.route_handler.media_type)
    return None


def _refuse_null(request: AnyRequest) -> None:
    """Refuse the word null where no text is expected: it would be taken for absence."""
    if b"null" not in request.scope["query_string"].lower():
        return
    for field in request.route_handler.parsed_fn_signature.parameters.values():
        told = field.kwarg_definition
        if isinstance(told, ParameterKwarg) and not strict.is_text(field.annotation):
            name = told.name or field.name
            if any(one.lower() == "null" for one in request.query_params.getall(name, [])):
                raise BadRequest(errors=(Flaw(parameter=name, detail="Null is no value"),))


def _refuse_unacceptable(accept: str, media_type: Any) -> None:
    offered = str(getattr(media_type, "value", media_type) or "application/json")
    general = f"{offered.partition('/')[0]}/*"
    if offered not in accept and general not in accept:
        raise NotAcceptable(offered=offered)


def translated(request: AnyRequest, error: Exception) -> Exception:
    """Tell an error of the router in our words; any other is told as it is."""
    match error:
        case ValidationException():
            problem: Exception = BadRequest(errors=tuple(_flaws(request, error)))
        case NotFoundException():
            problem = NotFound()
        case MethodNotAllowedException():
            told = (error.headers or {}).get("allow", "")
            problem = MethodNotAllowed(allowed=_allowed(told.split(", ")))
        case RequestEntityTooLarge():
            problem = BodyTooLarge(limit_bytes=MOST_BYTES)
        case InternalServerException(detail="client disconnected prematurely"):
            problem = BadRequest(errors=(Flaw(detail="The request ended before its body did"),))
        case ClientException():
            problem = BadRequest(errors=(Flaw(detail=error.detail),))
        case _:
            problem = error
    return problem


def _allowed(methods: Collection[str]) -> tuple[str, ...]:
    """List methods; where there is a GET, the edge answers a HEAD."""
    return tuple(sorted({*methods, "HEAD"} if "GET" in methods else methods))


def _flaws(request: AnyRequest, error: ValidationException) -> Iterator[Flaw]:
    if missing := _MISSING.match(error.detail):
        yield Flaw(parameter=missing[1], detail="It is required")
    for told in cast("list[dict[str, str]]", error.extra or []):
        if told.get("source") == "body":
            # A body that is there was read by `strict`.
            yield Flaw(pointer="", detail="A JSON body is required")
        else:
            key = told.get("key", "")
            yield Flaw(parameter=_spelled(request, key), detail=told["message"])


def _spelled(request: AnyRequest, key: str) -> str:
    """Name a parameter as clients do: a handler may call it otherwise."""
    field = request.route_handler.parsed_fn_signature.parameters.get(key)
    told = field.kwarg_definition if field else None
    return (told.name if isinstance(told, ParameterKwarg) else None) or key
