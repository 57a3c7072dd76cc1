"""Made-up values that keep to a JSON Schema, so that a document can show what is meant."""

from __future__ import annotations

import re
from typing import Any

from banyan.kernel.schemas import REF, Json

_DEEPEST = 8
_FORMATS = {
    "uuid": "0198f3a2-6c1e-7b3a-9c55-2f6d1e8a4b70",
    "date-time": "2026-01-01T12:00:00Z",
    "date": "2026-01-01",
    "decimal": "1.5",
}
_BASE64 = "aGVsbG8="
_TEXTS = ("EUR", "DE", "en", "1.5", "a:b", "https://example.com/", "ada@example.com")


def of(
    schema: Json, shared: Json, *, name: str = "example", whole: bool = False, depth: int = _DEEPEST
) -> Any:
    """Make up a value: of a list one item, of a text its name, of an object what is obligatory.

    Where it is to be `whole`, an object has every field.
    """
    while "$ref" in schema or "anyOf" in schema:
        schema = _narrowed(schema, shared)
    made_up: Any = None
    match schema.get("type"):
        case _ if known := [*schema.get("examples", ()), *schema.get("enum", ())]:
            made_up = known[0]
        case "object":
            made_up = _object(schema, shared, depth, whole=whole)
        case "array":
            made_up = _array(schema, shared, name, depth, whole=whole)
        case "integer" | "number":
            made_up = _number(schema)
        case "boolean":
            made_up = True
        case "string":
            made_up = _text(schema, name)
    return made_up


def _narrowed(schema: Json, shared: Json) -> Json:
    if "$ref" in schema:
        found: Json = shared[str(schema["$ref"]).removeprefix(REF)]
        return found
    return next(one for one in schema["anyOf"] if one.get("type") != "null")


def _object(schema: Json, shared: Json, depth: int, *, whole: bool) -> Json:
    made_up = {
        name: of(field, shared, name=name, whole=whole, depth=depth - 1)
        for name, field in schema.get("properties", {}).items()
        if name in schema.get("required", ()) or (whole and depth > 0)
    }
    if depth > 0 and isinstance(more := schema.get("additionalProperties"), dict):
        key = of({"type": "string"} | schema.get("propertyNames", {}), shared, name="key")
        made_up[key] = of(more, shared, whole=whole, depth=depth - 1)
    return made_up


def _array(schema: Json, shared: Json, name: str, depth: int, *, whole: bool) -> list[Any]:
    items = schema.get("prefixItems") or [schema["items"]] * max(schema.get("minItems", 1), 1)
    if depth <= 0:
        return []
    of_one = name.removesuffix("s")
    return [of(one, shared, name=of_one, whole=whole, depth=depth - 1) for one in items]


def _number(schema: Json) -> int | float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    most = schema.get("maximum", schema.get("exclusiveMaximum", 2) - 1)
    number: int | float = min(max(1, least), most)
    return number


def _text(schema: Json, name: str) -> str:
    if schema.get("contentEncoding") == "base64":
        return _BASE64
    # A time that may lack its zone has no format in JSON Schema; by convention it has such a name.
    is_time = name == "at" or name.endswith("_at")
    if known := _FORMATS.get(schema.get("format", "date-time" if is_time else "")):
        return known
    told = name.replace("_", " ")
    texts = (told, told.replace(" ", "-"), *_TEXTS)
    return next((text for text in texts if _keeps(text, schema)), told)


def _keeps(text: str, schema: Json) -> bool:
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(text))
    return least <= len(text) <= most and bool(re.search(schema.get("pattern", ""), text))
