"""A house of three modules and a plugin, as far as the gateway looks at them."""

from __future__ import annotations

from litestar import Controller, delete, get, post, put

from banyan.kernel.app import House
from banyan.kernel.module import Module, Plugin


class Toys(Controller):
    """Toys, for whoever wants to see them."""

    path = "/api/store/toys"

    @get()
    async def browse(self) -> str:
        return ""

    @get("/{toy:str}")
    async def show(self, toy: str) -> str:
        return toy


class ToysAdmin(Controller):
    """Toys, for whoever makes them."""

    path = "/api/admin/toys"

    @post()
    async def create(self) -> str:
        return ""

    @put("/{toy:str}")
    async def change(self, toy: str) -> str:
        return toy


class Boxes(Controller):
    """Boxes of toys."""

    path = "/api/store/boxes"

    @post("/{box:str}/lines")
    async def add(self, box: str) -> str:
        return box

    @delete("/{box:str}/lines/{line:str}")
    async def remove(self, box: str, line: str) -> None:
        """Take a line out."""


class Parts(Controller):
    """Parts of toys, which are found below the toys of another module."""

    path = "/api/store/toys/{toy:str}/parts"

    @get("/{where:path}")
    async def show(self, toy: str, where: str) -> str:
        return toy + where


class Pictures(Controller):
    """Pictures, which belong to no module."""

    path = "/media"

    @get("/{file:str}")
    async def show(self, file: str) -> str:
        return file


HOUSE = House(
    modules=[
        Module(name="toys", offers={}, routes=[Toys, ToysAdmin]),
        Module(name="boxes", offers={}, routes=[Boxes]),
        Module(name="parts", offers={}, routes=[Parts]),
    ],
    plugins=[Plugin(name="pictures", routes=[Pictures])],
)
