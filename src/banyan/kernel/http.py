"""HTTP, as modules and channels speak it: controllers over contracts, and the app made of them.

A controller names the contracts that it speaks to and is handed them under the names of their
modules. Its handlers take apart the request, ask one contract and return the answer:

    class Toys(Controller):
        path = "/api/store/toys"
        toybox: Toybox

        @get()
        async def browse(self, limit: Limit = 24, cursor: Cursor = None) -> Page[Toy]:
            return await self.toybox.toys(limit=limit, cursor=cursor)

        @get("/{toy:str}")
        async def show(self, toy: FromPath[ToyId], visit: Visiting) -> Answer[Toy]:
            found = await self.toybox.toy(toy=toy, wishes=visit.wishes)
            return tagged(found, found.version, locale=found.locale)


    class ToysAdmin(Controller):
        path = "/api/admin/toys"
        guards = (needs("toybox:write"),)
        toybox: Toybox
        ids: Ids

        @post()
        async def create(self, data: JSONBody[NewToy]) -> Answer[Toy]:
            made = await self.toybox.create(toy=ToyId(self.ids.new()), new=data)
            return tagged(made, made.version)

        @patch("/{toy:str}", guards=[obligatory_match])
        async def change(
            self, toy: FromPath[ToyId], expected: IfMatch, data: JSONBody[Change]
        ) -> Answer[Toy]:
            changed = await self.toybox.change(toy=toy, expected=expected, change=data)
            return tagged(changed, changed.version)

A handler's docstring is its summary in the API document, and its name there is `toys_browse`. What
is read, is read strictly whatever its type (`strict`); what is refused, is refused with a problem
(`refusal`); what may be refused, is documented from what the handler's code names (`openapi`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from inspect import get_annotations
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, cast, get_args, get_origin

import litestar
import msgspec
from litestar import delete, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.params import (
    FromHeader,
    FromPath,
    FromQuery,
    JSONBody,
    ParameterKwarg,
    QueryParameter,
    RawBody,
)
from litestar.types import ControllerRouterHandler
from litestar.typing import FieldDefinition

from banyan.kernel import strict, translation
from banyan.kernel.answer import Answer, tagged
from banyan.kernel.conditional import expected_version
from banyan.kernel.edge import MOST_BYTES, VISIT, Edge
from banyan.kernel.guards import needs, obligatory_key, obligatory_match
from banyan.kernel.language import Visit, visit_of
from banyan.kernel.limits import Limiter
from banyan.kernel.openapi import LIMITS
from banyan.kernel.reception import About, Reception
from banyan.kernel.refusal import UnsupportedMediaType
from banyan.kernel.security import Gate
from banyan.kernel.settings import Misconfigured
from banyan.kernel.shelf import Shelf

__all__ = [
    "Answer",
    "Controller",
    "Cursor",
    "FromHeader",
    "FromPath",
    "FromQuery",
    "IfMatch",
    "JSONBody",
    "Limit",
    "QueryParameter",
    "RawBody",
    "Request",
    "Visiting",
    "build",
    "delete",
    "get",
    "needs",
    "obligatory_key",
    "obligatory_match",
    "patch",
    "post",
    "put",
    "tagged",
]

Limit: TypeAlias = Annotated[
    int, QueryParameter(ge=1, le=100, description="How many items to tell at most.")
]
Cursor: TypeAlias = Annotated[
    str | None,
    QueryParameter(
        max_length=1024, format="cursor", description="Where to go on: `next` of the page before."
    ),
]
Visiting: TypeAlias = NamedDependency[Visit]
"""Asks, under the name `visit`, for the market and the language of the visitor."""

IfMatch: TypeAlias = NamedDependency[int | None]
"""Asks, under the name `expected`, for the version that the sender of an If-Match has seen."""


class Request(litestar.Request[Any, Any, Any]):
    """A request whose JSON is read as what the handler asks for, and as nothing else."""

    __slots__ = ()

    async def json(self) -> Any:
        """Read the body strictly, as what the handler asks for."""
        media_type, _ = self.content_type
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise UnsupportedMediaType(accepted="application/json")
        field = self.route_handler.parsed_data_field
        return strict.read(await self.body(), field.annotation if field else Any)


class Controller(litestar.Controller):
    """A group of routes; what its annotations name without a value is handed to it by `build`."""

    def get_route_handlers(self) -> list[BaseRouteHandler]:
        handlers = super().get_route_handlers()
        for handler in handlers:
            parameters = handler.parsed_fn_signature.parameters
            parameters |= {name: _bounded(field) for name, field in parameters.items()}
        return handlers


def build(
    routes: Sequence[ControllerRouterHandler],
    *,
    dependencies: Mapping[str, object],
    gate: Gate,
    ready: Callable[[], Awaitable[Mapping[str, bool]]],
    title: str = "Banyan",
    version: str = "0",
    elsewhere: Sequence[ControllerRouterHandler] = (),
    limited: bool = False,
    limiter: Limiter | None = None,
    shelf: Shelf | None = None,
    proxies: int = 0,
    lost: Callable[[Any, Exception], Any] | None = None,
) -> litestar.Litestar:
    """Make the ASGI app of some controllers, with everything that stands around them.

    `dependencies` are what controllers may name: the contracts, by their modules, and the likes of
    `ids` and `clock`. `ready` tells of each part of the house whether it can do its work. Routes
    that are answered `elsewhere` are in the API document only, which describes the whole wherever
    it is. So it says that clients are `limited` also where a gateway sees to it, and no `limiter`.
    What everybody may keep is kept on the `shelf`. So many `proxies` before us are believed how a
    client came to them. People who ask for what is nowhere are answered by `lost`, if somebody is
    there for them.
    """

    def assembled(*parts: ControllerRouterHandler) -> litestar.Litestar:
        return litestar.Litestar(
            [_wired(part, {**dependencies, "about": about, "gate": gate}) for part in parts],
            before_request=translation.foreseen,
            debug=False,
            dependencies={
                "visit": Provide(_visit, sync_to_thread=False),
                "expected": Provide(_expected, sync_to_thread=False),
            },
            exception_handlers={Exception: translation.refused, NotFoundException: nowhere},
            logging_config=None,
            openapi_config=None,
            request_class=Request,
            request_max_body_size=MOST_BYTES,
            response_class=Answer,
        )

    def nowhere(request: litestar.Request[Any, Any, Any], error: Any) -> litestar.Response[Any]:
        for_people = "text/html" in request.headers.get("accept", "")
        answer = lost if lost and for_people else translation.refused
        return cast("litestar.Response[Any]", answer(request, error))

    about = About(
        title=title,
        version=version,
        ready=ready,
        described=lambda: assembled(*routes, *elsewhere),
        limited=limited or limiter is not None,
    )
    app = assembled(Reception, *routes)
    edge = Edge(cast(Any, app.asgi_handler), gate, limiter=limiter, shelf=shelf, proxies=proxies)
    app.asgi_handler = cast(Any, edge)
    return app


def _wired(
    route: ControllerRouterHandler, dependencies: Mapping[str, object]
) -> ControllerRouterHandler:
    """Hand a controller what it names; as a subclass, since another app may wire it otherwise."""
    if not (isinstance(route, type) and issubclass(route, litestar.Controller)):
        return route
    named = {
        name: dependencies.get(name)
        for kind in route.__mro__[: route.__mro__.index(litestar.Controller)]
        for name in get_annotations(kind)
        if not hasattr(route, name)
    }
    if missing := [name for name, one in named.items() if one is None]:
        raise Misconfigured(f"{route.__name__} asks for {', '.join(missing)}: nobody offers that")
    return type(route.__name__, (route,), {**named, "__module__": route.__module__})


def _bounded(field: FieldDefinition) -> FieldDefinition:
    """Keep the constraints of a parameter's type, which Litestar drops outside of bodies.

    An integer without bounds gets those of the database.
    """
    told = field.kwarg_definition
    if field.is_di_field or not isinstance(told, ParameterKwarg):
        return field
    limits: dict[str, Any] = {}
    for one in (*_metas(field.raw), told):
        limits |= {name: said for name in LIMITS if (said := getattr(one, name)) is not None}
    for exclusive, inclusive in (("gt", "ge"), ("lt", "le")):
        if exclusive in limits:
            limits.pop(inclusive, None)
    return dataclasses.replace(field, kwarg_definition=dataclasses.replace(told, **limits))


def _metas(kind: Any) -> Iterator[msgspec.Meta]:
    """List the constraints of a type, the widest first, through unions and new names for it."""
    if kind is int:
        yield msgspec.Meta(ge=strict.LEAST, le=strict.MOST)
    yield from _metas(kind.__supertype__) if hasattr(kind, "__supertype__") else ()
    for part in get_args(kind):
        if isinstance(part, msgspec.Meta):
            yield part
        elif get_origin(kind) in _TRANSPARENT:
            yield from _metas(part)


_TRANSPARENT = (Annotated, Union, UnionType)


def _visit(request: Request) -> Visit:
    visit = visit_of(request.query_params, request.headers)
    cast("dict[str, Any]", request.scope)[VISIT] = visit
    return visit


def _expected(request: Request) -> int | None:
    return expected_version(request.headers.get("if-match"))
