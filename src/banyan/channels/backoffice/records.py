"""Things with a name of their own, each made and changed on a page: categories, zones, markets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from banyan.channels.backoffice.desk import done
from banyan.channels.backoffice.sheet import Sheet, Writing, once, version_of, where
from banyan.kernel import form
from banyan.kernel.contract import Problem, Value
from banyan.kernel.form import Form
from banyan.kernel.http import Answer, FromPath, Request, get, post
from banyan.kernel.idempotency import KeyReused

TAKEN = "There is one of this name already."
RESERVED = "This name is taken by a page."

NOTICES: Mapping[str, str] = {
    "saved": "The changes were saved.",
    "created": "It was created.",
    "removed": "It was removed.",
}


class Records(Writing):
    """The pages of one kind of thing; `named` is the field that names each of them for good.

    None is called by a `reserved` name, which leads to another page. `stale` is raised when
    somebody else was faster, `refusals` when something is wrong.
    """

    home: ClassVar[str]
    template: ClassVar[str]
    kind: ClassVar[type[Value]]
    named: ClassVar[str] = "code"
    reserved: ClassVar[frozenset[str]] = frozenset({"new"})
    stale: ClassVar[type[Problem]]
    refusals: ClassVar[tuple[type[Problem], ...]] = ()
    notices: ClassVar[Mapping[str, str]] = NOTICES

    async def blank(self) -> Value:
        """Begin one that is new."""
        raise NotImplementedError

    async def known(self, name: str) -> tuple[Value, int]:
        """Find one as its form has it, with its version; raise a problem if there is none."""
        raise NotImplementedError

    async def keep(self, value: Any, expected: int) -> None:
        """Create it, or change the version that was expected."""
        raise NotImplementedError

    async def remove(self, name: str, expected: int) -> None:
        """Remove it, or whatever comes next to that."""
        raise NotImplementedError

    async def around(self, request: Request, sheet: Sheet[Any], name: str) -> dict[str, Any]:  # noqa: ARG002
        """Tell the page what else it needs."""
        return {}

    def check(self, value: Any) -> dict[str, str]:  # noqa: ARG002
        """Say what is wrong with what could be read, by field."""
        return {}

    def at(self, told: Form[Any], name: str) -> str:  # noqa: ARG002
        """Tell what a field that was refused is called here."""
        return name

    @get("/new", media_type="text/html")
    async def ask(self, request: Request) -> Answer[bytes]:
        """Ask for one that is new."""
        return await self._with(request, self.fresh(await self.blank()), "")

    @post("/new", media_type="text/html")
    async def create(self, request: Request) -> Answer[bytes]:
        """Create one, or show what is wrong."""
        return await self._save(request, "")

    @get("/{name:str}", media_type="text/html")
    async def show(self, request: Request, name: FromPath[str]) -> Answer[bytes]:
        """Show one, to be changed."""
        value, version = await self.known(name)
        return await self._with(request, self.fresh(value, version=version), name)

    @post("/{name:str}", media_type="text/html")
    async def save(self, request: Request, name: FromPath[str]) -> Answer[bytes]:
        """Save one, or show what is wrong."""
        return await self._save(request, name)

    @post("/{name:str}/remove", media_type="text/html")
    async def drop(self, request: Request, name: FromPath[str]) -> Answer[bytes]:
        """Remove one, or show why that cannot be."""
        told: Form[Any] = await form.received(request, Value)
        expected: tuple[type[Problem], ...] = (self.stale, KeyReused, *self.refusals)
        try:
            with once(told):
                await self.remove(name, version_of(told))
        except expected as no:
            value, version = await self.known(name)
            at, reason = where(no)
            fresh = self.fresh(value, version=version)
            sheet = replace(fresh, errors={at: reason}, status=no.status)
            return await self._with(request, sheet, name)
        return done(self.home, "removed")

    async def _save(self, request: Request, name: str) -> Answer[bytes]:
        told: Form[Any] = await form.received(request, self.kind)
        if wish := told.text("do"):
            return await self._with(request, self.rearranged(told, wish), name)
        wrong = self._wrong(told.value, name) if told.value else {}
        if told.value is None or wrong:
            return await self._with(request, self.flawed(told, wrong), name)
        expected: tuple[type[Problem], ...] = (KeyReused, *self.refusals)
        try:
            with once(told):
                await self.keep(told.value, version_of(told) if name else 0)
        except self.stale:
            return await self._with(request, await self._overtaken(told, name), name)
        except expected as no:
            at, _ = where(no)
            sheet = self.refused(told, no, at={at: self.at(told, at)})
            return await self._with(request, sheet, name)
        return done(self.home, "saved" if name else "created")

    def _wrong(self, value: Any, name: str) -> dict[str, str]:
        told = getattr(value, self.named)
        if name and told != name:
            return {self.named: "It keeps its name."}
        if not name and told in self.reserved:
            return {self.named: RESERVED}
        return self.check(value)

    async def _overtaken(self, told: Form[Any], name: str) -> Sheet[Any]:
        if not name:
            return self.flawed(told, {self.named: TAKEN})
        value, version = await self.known(name)
        return self.overtaken(told, now=value, version=version)

    async def _with(self, request: Request, sheet: Sheet[Any], name: str) -> Answer[bytes]:
        return self.page(
            request,
            self.template,
            status=sheet.status,
            sheet=sheet,
            name=name,
            home=self.home,
            here=f"{self.path}/{name or 'new'}",
            remove_once=str(self.ids.new()),
            **await self.around(request, sheet, name),
        )
