"""The HTTP face of notifications: what was told to whom is for the back office only."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from banyan.kernel.http import (
    Answer,
    Controller,
    Cursor,
    FromPath,
    FromQuery,
    Limit,
    get,
    needs,
    post,
)
from banyan.kernel.paging import Page, after, page
from banyan.modules.notifications.contract import Message, Notifications, Preview

HTML = "text/html"
SANDBOX = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
"""A message may look as it likes, but it runs nothing, loads nothing and is nobody."""


class Messages(Controller):
    """What the shop has told people."""

    path = "/api/admin/messages"
    tags = ("notifications (admin)",)
    guards = (needs("notifications:read"),)
    notifications: Notifications

    @get()
    async def browse(
        self,
        about: FromQuery[Annotated[str, Meta(max_length=100)] | None] = None,
        limit: Limit = 24,
        cursor: Cursor = None,
    ) -> Page[Message]:
        """List messages, newest first; `about` is the id of an order."""
        found = await self.notifications.messages(
            about=about, before=after(cursor, UUID), limit=limit + 1
        )
        return page(found, limit=limit, place=lambda one: one.id)

    @get("/{message:str}")
    async def preview(self, message: FromPath[UUID]) -> Preview:
        """Show a message as it reads."""
        return await self.notifications.preview(message=message)

    @get("/{message:str}/html", media_type=HTML)
    async def show(self, message: FromPath[UUID]) -> Answer[str]:
        """Show the HTML of a message as a page that can do nothing."""
        shown = await self.notifications.preview(message=message)
        return Answer(shown.html, media_type=HTML, headers={"content-security-policy": SANDBOX})

    @post("/{message:str}/resend", guards=[needs("notifications:write")], status_code=202)
    async def resend(self, message: FromPath[UUID]) -> Message:
        """Send a message once more, to the same address."""
        return await self.notifications.resend(message=message)


routes = [Messages]
