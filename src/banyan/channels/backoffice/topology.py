"""A picture of the running shop: what runs where, who asks whom, who hears whom."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from banyan.channels.backoffice.desk import HOME, Office
from banyan.channels.backoffice.drawing import NODE_HEIGHT, NODE_WIDTH, draw
from banyan.kernel.floorplan import Floorplan
from banyan.kernel.http import Answer, FromQuery, Request, get


class TopologyPage(Office):
    """The running shop; of a part that is named, what belongs to it stands out."""

    path = f"{HOME}/topology"
    floorplan: Floorplan

    @get(media_type="text/html")
    async def show(
        self, request: Request, part: FromQuery[Annotated[str, Meta(max_length=64)]] = ""
    ) -> Answer[bytes]:
        """Show the running shop as a picture and as a table."""
        plan = await self.floorplan.look()
        return self.page(
            request,
            "topology.html",
            plan=plan,
            drawing=draw(plan),
            node=(NODE_WIDTH, NODE_HEIGHT),
            part=part if part in plan.asks else "",
        )


routes = [TopologyPage]
