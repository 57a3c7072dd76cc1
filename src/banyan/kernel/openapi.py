"""The API document (OpenAPI 3.1), read from the routes themselves.

Schemas come from msgspec, which also does the reading: what is documented is what is enforced. What
an operation may refuse is found in its code: the problems of the contract operations that it names,
and those that follow from its guards, its parameters and its body.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from inspect import cleandoc
from operator import attrgetter, or_
from types import CodeType, MethodType
from typing import Annotated, Any, cast

import litestar
import msgspec
from litestar.enums import MediaType, ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg
from litestar.routes import HTTPRoute
from litestar.typing import FieldDefinition

from banyan.kernel.conditional import TAGS
from banyan.kernel.contract import Problem, is_contract, operations, snake
from banyan.kernel.edge import IDEMPOTENCY_KEY
from banyan.kernel.guards import Needs, obligatory_key, obligatory_match
from banyan.kernel.idempotency import KeyReused
from banyan.kernel.language import LOCALE, MARKET
from banyan.kernel.link import Unavailable
from banyan.kernel.paging import BadCursor
from banyan.kernel.refusal import (
    MEDIA_TYPE,
    BadRequest,
    BodyTooLarge,
    Forbidden,
    IdempotencyKeyMissing,
    InternalFault,
    MatchMissing,
    NotAcceptable,
    NotFound,
    ProblemDocument,
    Stale,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMediaType,
    phrase,
)
from banyan.kernel.schemas import Json, Schemas

LIMITS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")
"""The constraints that parameters share with the fields of values."""

_ALWAYS = (BadRequest, Unauthenticated, NotAcceptable, InternalFault, Unavailable)


def document(app: litestar.Litestar, *, title: str, version: str, limited: bool = False) -> Json:
    """Describe every route of an app that wants to be described; all say if clients are limited."""
    schemas = Schemas()
    always = (*_ALWAYS, TooManyRequests) if limited else _ALWAYS
    paths: dict[str, Json] = {}
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    method = min(handler.http_methods).lower()
                    described = _operation(handler, schemas, always)
                    paths.setdefault(route.path_format, {})[method] = described
    _refuse_namesakes(paths)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": schemas.write(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _refuse_namesakes(paths: dict[str, Json]) -> None:
    seen: dict[str, str] = {}
    for path, item in paths.items():
        for method, described in item.items():
            where = f"{method.upper()} {path}"
            name = described["operationId"]
            if name in seen:
                raise TypeError(f"{where} and {seen[name]} are both called {name}")
            seen[name] = where


def _operation(
    handler: HTTPRouteHandler, schemas: Schemas, always: Iterable[type[Problem]]
) -> Json:
    """Describe one handler."""
    summary, _, description = cleandoc(handler.fn.__doc__ or handler.handler_name).partition("\n")
    described: Json = {
        "operationId": _name(handler),
        "tags": handler.resolve_tags() or [_module(handler)],
        "summary": summary.rstrip("."),
        "parameters": [*_parameters(handler, schemas)],
    }
    if description.strip():
        described["description"] = description.strip()
    if body := handler.parsed_data_field:
        described["requestBody"] = {
            "required": not body.has_default,
            "content": {"application/json": {"schema": schemas.of_body(body.annotation)}},
        }
    if any(isinstance(guard, Needs) for guard in handler.resolve_guards()):
        described["security"] = [{"bearer": []}]
    kinds = {*always, *_demanded(handler), *_raised(handler)}
    described["responses"] = {**_answers(handler, schemas), **_refusals(kinds, schemas)}
    return described


def _module(handler: HTTPRouteHandler) -> str:
    """Name the module whose `http.py` this stands in."""
    *_, module, _ = ("", *handler.fn.__module__.split("."))
    return module


def _name(handler: HTTPRouteHandler) -> str:
    """Name an operation after its controller and its method: `toys_show`."""
    controller = getattr(handler.fn, "__self__", None)
    prefix = f"{snake(type(controller).__name__)}_" if controller else ""
    return prefix + handler.fn.__name__


def _parameters(handler: HTTPRouteHandler, schemas: Schemas) -> Iterator[Json]:
    names = handler.parsed_fn_signature.parameters
    guards = handler.resolve_guards()
    for one in names.values():
        if isinstance(one.kwarg_definition, ParameterKwarg) and not one.is_di_field:
            yield _parameter(one, one.kwarg_definition, schemas)
    if "visit" in names:
        yield from _VISIT
    if "expected" in names:
        yield _IF_MATCH | {"required": obligatory_match in guards}
    if "POST" in handler.http_methods:
        yield _IDEMPOTENCY_KEY | {"required": obligatory_key in guards}
    if _is_tagged(handler):
        yield _IF_NONE_MATCH


def _parameter(one: FieldDefinition, told: ParameterKwarg, schemas: Schemas) -> Json:
    limits = {name: limit for name in LIMITS if (limit := getattr(told, name)) is not None}
    kind: Any = Annotated[_present(one), msgspec.Meta(**limits)] if limits else _present(one)
    schema = schemas.of(kind)
    if told.format:
        schema["format"] = told.format
    if one.has_default and one.default is not None:
        schema["default"] = msgspec.to_builtins(one.default)
    described = {
        "name": told.name or one.name,
        "in": told.param_type.value,
        "required": one.is_required,
        "schema": schema,
    }
    return described | ({"description": told.description} if told.description else {})


def _present(one: FieldDefinition) -> Any:
    """The type of a parameter that is there: absence is not a value that can be sent."""
    if not one.is_optional:
        return one.annotation
    return reduce(or_, (part.annotation for part in one.inner_types if not part.is_none_type))


def _answers(handler: HTTPRouteHandler, schemas: Schemas) -> Json:
    """Describe what is answered when all goes well."""
    returned = handler.parsed_return_field
    kind = returned.annotation
    if returned.is_subclass_of(litestar.Response):
        kind = returned.args[0] if returned.args else Any
    good: Json = {"description": phrase(handler.status_code)}
    if kind is not type(None) and kind is not None:
        good["content"] = {_media_type(handler): {"schema": schemas.of(kind)}}
    answers = {str(handler.status_code): good}
    if _is_tagged(handler):
        answers["304"] = {"description": phrase(304)}
    return answers


def _media_type(handler: HTTPRouteHandler) -> str:
    """Name what the answer is written in: the media type that the handler declares, else JSON."""
    declared = handler.media_type or MediaType.JSON
    return declared.value if isinstance(declared, MediaType) else declared


def _is_tagged(handler: HTTPRouteHandler) -> bool:
    """Whether the answer carries an ETag by which a reader can keep it: what is JSON does."""
    answers_itself = handler.parsed_return_field.is_subclass_of(litestar.Response)
    is_json = _media_type(handler) == MediaType.JSON.value
    return answers_itself and is_json and "GET" in handler.http_methods


def _refusals(kinds: set[type[Problem]], schemas: Schemas) -> Json:
    """Describe the problems that may be answered, by status."""
    by_status: dict[int, list[type[Problem]]] = {}
    for kind in sorted(kinds, key=attrgetter("status", "code")):
        by_status.setdefault(kind.status, []).append(kind)
    return {
        str(status): {
            "description": "\n".join(f"`{kind.code}`: {kind.title()}" for kind in told),
            "x-codes": [kind.code for kind in told],
            "content": {MEDIA_TYPE: {"schema": schemas.of(ProblemDocument)}},
        }
        for status, told in by_status.items()
    }


def _demanded(handler: HTTPRouteHandler) -> Iterator[type[Problem]]:
    """Tell which problems follow from the form of a request."""
    names = handler.parsed_fn_signature.parameters
    guards = handler.resolve_guards()
    if any(isinstance(guard, Needs) for guard in guards):
        yield Forbidden
    if obligatory_key in guards:
        yield IdempotencyKeyMissing
    if obligatory_match in guards:
        yield MatchMissing
    if "expected" in names:
        yield Stale
    if "POST" in handler.http_methods:
        yield from (KeyReused, BodyTooLarge)
    if "data" in names:
        yield from (BodyTooLarge, UnsupportedMediaType)
    if "cursor" in names:
        yield BadCursor
    if any(_is_in_path(one) for one in names.values()):
        yield NotFound


def _is_in_path(one: FieldDefinition) -> bool:
    told = one.kwarg_definition
    return isinstance(told, ParameterKwarg) and told.param_type is ParamType.PATH


def _raised(handler: HTTPRouteHandler) -> Iterator[type[Problem]]:
    """Tell which problems may come out of what a handler's code names."""
    return _raised_in(cast(Any, handler.fn), getattr(handler.fn, "__self__", None))


def _raised_in(function: Any, controller: object) -> Iterator[type[Problem]]:
    names = set(_names(function.__code__))
    for name in names:
        named = function.__globals__.get(name)
        if isinstance(named, type) and issubclass(named, Problem):
            yield named
        asked = getattr(controller, name, None)
        if isinstance(asked, MethodType) and asked != function:
            yield from _raised_in(asked, controller)
        answering = asked.values() if isinstance(asked, Mapping) else (asked,)
        for protocol in {kind for one in answering for kind in type(one).__mro__}:
            if is_contract(protocol):
                offered = operations(protocol)
                yield from (p for one in names & offered.keys() for p in offered[one].problems)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _fixed(name: str, place: str, description: str, **schema: str | int) -> Json:
    return {
        "name": name,
        "in": place,
        "required": False,
        "schema": {"type": "string", **schema},
        "description": description,
    }


_VISIT = (
    _fixed("market", "query", "The market to look at; wins over the header.", pattern=MARKET),
    _fixed("locale", "query", "The language to answer in; wins over the header.", pattern=LOCALE),
    _fixed("Banyan-Market", "header", "The market to look at.", pattern=MARKET),
    _fixed("Accept-Language", "header", "The languages to answer in, best first (RFC 9110)."),
)
_IF_MATCH = _fixed(
    "If-Match", "header", "The ETag of what is to be changed, as it was read.", pattern=TAGS
)
_IF_NONE_MATCH = _fixed("If-None-Match", "header", "The ETag of what the reader already has.")
_IDEMPOTENCY_KEY = _fixed(
    "Idempotency-Key",
    "header",
    "A fresh key: the same request with the same key has its effect once.",
    pattern=IDEMPOTENCY_KEY,
)
