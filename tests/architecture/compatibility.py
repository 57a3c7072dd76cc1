"""What a released document promises, held against the one of today: each promise that is broken.

Programs are not changed all at once, so what one writes, the other must read, whichever is the
older. A request is written by the old and read by the new, an answer the other way round; an event
waits in a stream and is written by either. A reader ignores the fields that it does not know.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from banyan.kernel.schemas import REF, Json

LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
EXACT = ("format", "pattern", "multipleOf")

ANEW = {
    "event": "make it a new class with `major` + 1, and tell both for a while",
    "operation": "keep it as it was, and add another or an argument with a default",
    "problem": "keep it as it was, and add another",
}

JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def broken_events(released: Json, current: Json) -> Iterator[str]:
    """Compare two AsyncAPI documents of events; say of each broken promise what to do instead."""
    ways = [Comparison(released, current, accepting=accepting) for accepting in (True, False)]
    messages = current["components"]["messages"]
    for name, old in released["components"]["messages"].items():
        found = (
            [f"{name} is gone"]
            if name not in messages
            else [
                one
                for part in ("headers", "payload")
                for way in ways
                for one in way.broken(name, old[part], messages[name][part])
            ]
        )
        yield from (f"{one}: {ANEW['event']}" for one in dict.fromkeys(found))


def broken_contracts(released: Json, current: Json) -> Iterator[str]:
    """Compare what two documents say of the operations and problems of a module."""
    asked = Comparison(released, current, accepting=True)
    told = Comparison(released, current, accepting=False)
    for name, old in released["operations"].items():
        where, new = f"{released['module']}.{name}", current["operations"].get(name)
        yield from (
            f"{one}: {ANEW['operation']}"
            for one in (
                *_changed(where, old, new, "subject", "mark"),
                *(asked.broken(f"{where}(…)", old["request"], new["request"]) if new else ()),
                *(told.broken(f"{where} → …", old["answer"], new["answer"]) if new else ()),
            )
        )
    for kind, old in released["problems"].items():
        new = current["problems"].get(kind)
        yield from (
            f"{one}: {ANEW['problem']}"
            for one in (
                *_changed(kind, old, new, "status"),
                *(told.broken(kind, old["fields"], new["fields"]) if new else ()),
            )
        )


def _changed(where: str, old: Json, new: Json | None, *parts: str) -> Iterator[str]:
    if new is None:
        yield f"{where} is gone"
    else:
        for part in parts:
            if old[part] != new[part]:
                yield f"the {part} of {where} was {old[part]} and is {new[part]}"


@dataclass(frozen=True)
class Alternative:
    """One of the shapes that a value may have; `name` if it is shared within its document."""

    kind: str
    schema: Json = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two documents, of which the new one writes and the old one reads; `accepting`, vice versa."""

    old: Json
    new: Json
    accepting: bool

    def broken(
        self, where: str, old: Json, new: Json, within: frozenset[tuple[str, str]] = frozenset()
    ) -> Iterator[str]:
        """Tell what may be written and is not read as it was meant, or not written any more."""
        olds, news = [*_alternatives(old, self.old)], [*_alternatives(new, self.new)]
        written, read = (olds, news) if self.accepting else (news, olds)
        for one in written:
            same = [other for other in read if _reads(other.kind, one.kind)]
            if not same:
                yield f"{where} {self._may} be {one.kind}"
            elif not any((one.name, other.name) in within for other in same):
                pairs = [(one, other) if self.accepting else (other, one) for other in same]
                yield from min((list(self._shape(where, *pair, within)) for pair in pairs), key=len)

    @property
    def _may(self) -> str:
        return "may no longer" if self.accepting else "may now"

    def _shape(
        self, where: str, old: Alternative, new: Alternative, within: frozenset[tuple[str, str]]
    ) -> Iterator[str]:
        """Compare two shapes of a kind."""
        if "anything" in (old.kind, new.kind):
            return
        if old.name or new.name:
            pair = (old.name, new.name) if self.accepting else (new.name, old.name)
            within |= {pair}
        yield from self._values(where, old.schema, new.schema)
        yield from self._limits(where, old.schema, new.schema)
        yield from self._fields(where, old.schema, new.schema, within)
        for part, sign in (("items", "[]"), ("additionalProperties", "{}")):
            if part in old.schema and part in new.schema:
                yield from self.broken(f"{where}{sign}", old.schema[part], new.schema[part], within)
        before, now = old.schema.get("prefixItems", []), new.schema.get("prefixItems", [])
        for place, (first, second) in enumerate(zip(before, now, strict=False)):
            yield from self.broken(f"{where}[{place}]", first, second, within)

    def _values(self, where: str, old: Json, new: Json) -> Iterator[str]:
        written, read = (old, new) if self.accepting else (new, old)
        if "enum" in read:
            for value in written.get("enum", ["anything else"]):
                if value not in read["enum"]:
                    yield f"{where} {self._may} be {value}"

    def _limits(self, where: str, old: Json, new: Json) -> Iterator[str]:
        written, read = (old, new) if self.accepting else (new, old)
        for limits, sign in ((LOWER, 1), (UPPER, -1)):
            for limit in limits:
                if limit in read and (
                    limit not in written or (read[limit] - written[limit]) * sign > 0
                ):
                    yield _was(where, limit, old, new)
        for limit in EXACT:
            if limit in read and written.get(limit) != read[limit]:
                yield _was(where, limit, old, new)

    def _fields(
        self, where: str, old: Json, new: Json, within: frozenset[tuple[str, str]]
    ) -> Iterator[str]:
        before, now = old.get("properties", {}), new.get("properties", {})
        least, most = {*old.get("required", ())}, {*new.get("required", ())}
        for name in before:
            place = f"{where}.{name}"
            if name not in now:
                yield f"{place} is gone"
                continue
            yield from self.broken(place, before[name], now[name], within)
            if not self.accepting and name in least - most:
                yield f"{place} may now be absent"
            if self.accepting and name not in least | most and _differ(before, now, name):
                yield _was(place, "default", before[name], now[name])
        if self.accepting:
            yield from (f"{where}.{name} is now required" for name in now if name in most - least)


def _alternatives(schema: Json, document: Json, name: str = "") -> Iterator[Alternative]:
    """List the shapes that a schema allows, each of one kind."""
    match schema:
        case {"$ref": str(ref)}:
            shared = ref.removeprefix(REF)
            yield from _alternatives(document["components"]["schemas"][shared], document, shared)
        case {"anyOf": schemas}:
            for one in schemas:
                yield from _alternatives(one, document)
        case {"enum": values}:
            for kind in dict.fromkeys(JSON_TYPES[type(value)] for value in values):
                of_kind = [value for value in values if JSON_TYPES[type(value)] == kind]
                yield Alternative(kind, schema | {"enum": of_kind})
        case {"prefixItems": items}:
            yield Alternative(f"array of {len(items)}", schema)
        case {"type": "object"} if "properties" not in schema:
            yield Alternative("map", schema)
        case {"type": str(kind)}:
            yield Alternative(kind, schema, name)
        case _:
            yield Alternative("anything")


def _differ(before: Json, now: Json, name: str) -> bool:
    return bool(before[name].get("default") != now[name].get("default"))


def _reads(reader: str, writer: str) -> bool:
    return reader in (writer, "anything") or (reader, writer) == ("number", "integer")


def _was(where: str, limit: str, old: Json, new: Json) -> str:
    def told(schema: Json) -> object:
        return schema.get(limit, "absent")

    return f"the {limit} of {where} was {told(old)} and is {told(new)}"
