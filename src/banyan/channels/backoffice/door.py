"""The door of the back office: signing in and out."""

from __future__ import annotations

import re
from urllib.parse import unquote

from banyan.channels.backoffice.desk import ASSETS, ENTRANCE, HOME, LOCALE, PAGES, Office
from banyan.kernel import form
from banyan.kernel.contract import Value
from banyan.kernel.edge import SESSION
from banyan.kernel.http import Answer, Controller, FromPath, FromQuery, Request, get, post
from banyan.kernel.page import seen_elsewhere
from banyan.kernel.refusal import NotFound
from banyan.kernel.security import SESSION_SECONDS, Gate

COOKIE = SESSION.decode()

_INSIDE = re.compile(rf"{HOME}(/[A-Za-z0-9._~%+@:-]+)*/?(\?[!-\[\]-~]*)?")


class Key(Value, frozen=True, kw_only=True):
    """What opens the door: the token that `banyan up` prints; and where its bearer meant to go."""

    token: str
    to: str = HOME


class Door(Controller):
    """Where people sign in and out. The token is exchanged for a session, which ends by itself."""

    path = HOME
    include_in_schema = False
    exception_handlers = {Exception: PAGES.trouble}  # noqa: RUF012 - as the base class has it
    gate: Gate

    @get("/sign-in", media_type="text/html")
    async def ask(self, to: FromQuery[str] = HOME) -> Answer[bytes]:
        """Ask for the token."""
        return PAGES.show("sign_in.html", locale=LOCALE, refused=False, to=inside(to))

    @post("/sign-in", media_type="text/html")
    async def open(self, request: Request) -> Answer[bytes]:
        """Open a session, or say that the token is not known."""
        told = await form.received(request, Key)
        to = inside(told.text("to"))
        session = await self.gate.session(told.value.token) if told.value else None
        if session is None:
            return PAGES.show("sign_in.html", locale=LOCALE, status=401, refused=True, to=to)
        answer = seen_elsewhere(to)
        answer.set_cookie(
            COOKIE,
            session.reveal(),
            path=HOME,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @post("/sign-out", media_type="text/html")
    async def leave(self) -> Answer[bytes]:
        """Forget the session in this browser."""
        answer = seen_elsewhere(ENTRANCE)
        answer.delete_cookie(COOKIE, path=HOME)
        return answer


class Nowhere(Office):
    """What is not there, said to those who signed in; others are asked to do so first."""

    path = HOME

    @get("/{rest:path}", media_type="text/html")
    async def miss(self, rest: FromPath[str]) -> Answer[bytes]:  # noqa: ARG002 - the route has it
        """Say that there is no such page."""
        raise NotFound


def inside(path: str) -> str:
    """Return a path if it leads to a page of the back office, else the way to its first page."""
    steps = unquote(path.partition("?")[0]).split("/")
    climbs = "." in steps or ".." in steps
    return path if _INSIDE.fullmatch(path) and not climbs else HOME


routes = [ASSETS.route(), Door, Nowhere]
