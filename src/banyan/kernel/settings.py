"""What an operator may turn: typed, from a file or the environment, refused when misspelt."""

import difflib
import hmac
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from banyan.kernel.contract import Value

S = TypeVar("S", bound="Settings")


class Settings(Value):
    """Values with a default each, of which an operator names those that shall differ."""


class Secret:
    """Text that no log, message or traceback shows: it must be asked for by `reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Hand out the text, to be used at once and kept nowhere."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


class Misconfigured(Exception):
    """What an operator wrote cannot work; each complaint says what to change."""

    def __init__(self, *complaints: str) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def load(
    kind: type[S], section: str, *, file: Mapping[str, Any], environment: Mapping[str, str]
) -> S:
    """Settle one section: its defaults, then the file's table, then `BANYAN_<SECTION>_<FIELD>`.

    `file` holds the tables by section, as `[settings.<section>]` of a topology file does. A list
    or a table is spelled as JSON in the environment.
    """
    return settle(kind, f"settings.{section}", file.get(section, {}), environment)


def settle(kind: type[S], path: str, table: object, environment: Mapping[str, str]) -> S:
    """Make settings of the table found at `path` of a file, and of the environment."""
    if not isinstance(table, Mapping):
        raise Misconfigured(f"[{path}] must be a table of settings, not {table!r}.")
    prefix = f"BANYAN_{path.removeprefix('settings.').upper().replace('.', '_')}_"
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    told = [(f"[{path}] {name}", name, value, _convert) for name, value in table.items()] + [
        (variable, variable.removeprefix(prefix).lower(), text, _read)
        for variable, text in environment.items()
        if variable.startswith(prefix)
    ]

    found: dict[str, Any] = {}
    complaints: list[str] = []
    for where, name, value, read in told:
        if name not in known:
            complaints.append(f"{where}: there is no setting {unknown(name, known)}")
            continue
        try:
            found[name] = read(value, known[name].type)
        except msgspec.ValidationError as refusal:
            complaints.append(f"{where}: {refusal}.")
    if complaints:
        raise Misconfigured(*complaints)

    missing = [name for name, field in known.items() if field.required and name not in found]
    if missing:
        raise Misconfigured(
            *(
                f"[{path}] {name}: needs a value, there or in {prefix}{name.upper()}."
                for name in missing
            )
        )
    try:
        return kind(**found)
    except ValueError as refusal:
        raise Misconfigured(f"[{path}] {refusal}") from None


def unknown(name: str, known: Collection[str]) -> str:
    """Quote a name that nobody knows, with the one that was perhaps meant and those allowed."""
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    return f"{name!r}{meant} Allowed: {', '.join(sorted(known)) or 'nothing'}."


def environment() -> dict[str, str]:
    """Copy the environment of this process; nothing else looks at it."""
    return dict(os.environ)  # noqa: TID251 - the one place that may


def _read(text: str, kind: Any) -> Any:
    """Understand a variable as its plain text, or else as JSON; as JSON first if it is a table."""
    if text.startswith("{"):
        with suppress(msgspec.DecodeError, msgspec.ValidationError):
            return _convert(msgspec.json.decode(text), kind)
    try:
        return msgspec.convert(text, kind, strict=False, dec_hook=_from_text)
    except msgspec.ValidationError as refusal:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            raise refusal from None
        return _convert(value, kind)


def _convert(value: Any, kind: Any) -> Any:
    return msgspec.convert(value, kind, dec_hook=_from_text)


def _from_text(kind: type, value: Any) -> Any:
    if kind in (Secret, Path) and isinstance(value, str):
        return kind(value)
    raise msgspec.ValidationError(f"Expected text for {kind.__name__}")


def tables(document: Mapping[str, Any], name: str, *, within: str = "") -> Mapping[str, Any]:
    """Read a table that holds tables, each by its own name."""
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        path = f"{within}{name}"
        raise Misconfigured(f"[{path}] must hold tables, such as [{path}.catalog].")
    return table
