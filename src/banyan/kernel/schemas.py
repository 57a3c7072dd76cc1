"""JSON Schemas of what crosses the border of HTTP, as strict as the reading is."""

from __future__ import annotations

from typing import Any

import msgspec

from banyan.kernel import strict

Json = dict[str, Any]

REF = "#/components/schemas/"


class Schemas:
    """Schemas that are promised one by one and written all at once, so that they are shared."""

    def __init__(self) -> None:
        self._kinds: list[Any] = []
        self._places: list[Json] = []
        self._bodies: list[Json] = []

    def of(self, kind: Any) -> Json:
        """Promise the schema of a type."""
        place: Json = {}
        self._kinds.append(kind)
        self._places.append(place)
        return place

    def of_body(self, kind: Any) -> Json:
        """Promise the schema of a type that is read strictly: no field but the known ones."""
        place = self.of(kind)
        self._bodies.append(place)
        return place

    def write(self) -> Json:
        """Keep all promises, and return what the schemas share."""
        schemas, shared = msgspec.json.schema_components(self._kinds, ref_template=f"{REF}{{name}}")
        for place, schema in zip(self._places, schemas, strict=True):
            place.update(schema)
            _bound_integers(place)
        _bound_integers(shared)
        closed: set[str] = set()
        for body in self._bodies:
            _close(body, shared, closed)
        return shared


def _bound_integers(part: Any) -> None:
    """Say of every integer that it fits into the database."""
    if isinstance(part, dict):
        if part.get("type") == "integer":
            part["format"] = "int64"
            if "exclusiveMinimum" not in part:
                part.setdefault("minimum", strict.LEAST)
            if "exclusiveMaximum" not in part:
                part.setdefault("maximum", strict.MOST)
        for inner in part.values():
            _bound_integers(inner)
    elif isinstance(part, list):
        for inner in part:
            _bound_integers(inner)


def _close(part: Any, shared: Json, closed: set[str]) -> None:
    """Say of every object that it has the fields that are listed and no others."""
    if isinstance(part, dict):
        if "properties" in part:
            part.setdefault("additionalProperties", False)
        name = str(part.get("$ref", "")).removeprefix(REF)
        if name and name not in closed:
            closed.add(name)
            _close(shared[name], shared, closed)
        for inner in part.values():
            _close(inner, shared, closed)
    elif isinstance(part, list):
        for inner in part:
            _close(inner, shared, closed)
