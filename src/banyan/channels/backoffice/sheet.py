"""Forms that people work with: each happens once, keeps what was typed, and says what is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from msgspec import structs

from banyan.channels.backoffice.desk import Office
from banyan.kernel import link
from banyan.kernel.contract import Problem, Value
from banyan.kernel.form import Form, read, spread
from banyan.kernel.idempotency import Idempotency, KeyReused
from banyan.kernel.ids import Ids

V = TypeVar("V", bound=Value)

MISSING = "Fill this in."
INVALID = "This cannot be read."
SENT_BEFORE = "This form was sent before with other content. Look at it once more, and save again."

HINTS: Mapping[str, str] = {
    "amount": "An amount in major units with a point, such as 19.99.",
    "code": "Small letters and digits, joined by hyphens.",
    "compare_at": "An amount in major units with a point, such as 19.99.",
    "country": "Two capital letters (ISO 3166), such as DE.",
    "on_hand": "A whole number of units, 0 or more.",
    "position": "A whole number.",
    "quantity": "A whole number of units.",
    "sku": "Up to 100 visible characters, with single spaces at most.",
    "slug": "Small letters and digits, joined by hyphens, such as warm-lamp.",
    "title": "Up to 200 characters.",
    "url": "An address that begins with https:// or /.",
    "weight_grams": "Whole grams, 0 or more.",
}
"""What belongs into a field, by the last part of its name."""


class Changed(Value, frozen=True, kw_only=True):
    """A field that somebody else has changed while this form was open."""

    name: str
    label: str
    was: str
    now: str


@dataclass(frozen=True)
class Sheet(Generic[V]):
    """A form as a page shows it: `once` is the id under which it is done once.

    `version` and `seen` are what its writer began with, `changed` what others did meanwhile, and
    `errors` sentences by field; those under no name are about the whole.
    """

    form: Form[V]
    once: str
    version: int = 0
    seen: str = ""
    errors: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[Changed, ...] = ()
    status: int = 200

    def text(self, name: str, otherwise: str = "") -> str:
        """Return what stands in a field."""
        return self.form.text(name, otherwise)

    def error(self, name: str) -> str:
        """Say what is wrong with a field; nothing, if nothing is."""
        return self.errors.get(name, "")


class Writing(Office):
    """A page of the back office on which something is written."""

    ids: Ids

    def fresh(self, value: Value, *, version: int = 0) -> Sheet[Any]:
        """Show what is there, to be changed."""
        form = Form.of(value)
        return Sheet(form=form, once=str(self.ids.new()), version=version, seen=seen_as(value))

    def rearranged(self, told: Form[Any], wish: str) -> Sheet[Any]:
        """Show a form with a row more, a row less, or in another order."""
        return self._again(told.rearranged(wish))

    def flawed(self, told: Form[Any], more: Mapping[str, str] | None = None) -> Sheet[Any]:
        """Show a form again that could not be read, and why."""
        errors = {name: explained(name, flaw) for name, flaw in told.flaws.items()}
        return replace(self._again(told), errors=errors | dict(more or {}), status=422)

    def refused(
        self, told: Form[Any], problem: Problem, *, at: Mapping[str, str] | None = None
    ) -> Sheet[Any]:
        """Show a form again that was refused, with the reason at its field.

        `at` names fields that are called otherwise here than where the problem comes from.
        """
        name, reason = where(problem)
        sheet = replace(
            self._again(told), errors={(at or {}).get(name, name): reason}, status=problem.status
        )
        return replace(sheet, once=str(self.ids.new())) if isinstance(problem, KeyReused) else sheet

    def overtaken(self, told: Form[Any], *, now: Value, version: int) -> Sheet[Any]:
        """Show a form again that somebody else was faster with, and what they have changed.

        What was typed stays, and what was not touched is as they left it. Whoever sends the form
        once more has seen the change.
        """
        return replace(
            self._again(replace(told, said=_merged(told, now))),
            once=str(self.ids.new()),
            version=version,
            seen=seen_as(now),
            changed=changes(told.text("seen"), now),
            status=412,
        )

    def id_of(self, told: Form[Any]) -> UUID:
        """Name what a form makes after the form, so that it is made once."""
        try:
            return UUID(told.text("once"))
        except ValueError:
            return self.ids.new()

    def _again(self, told: Form[Any]) -> Sheet[Any]:
        return Sheet(
            form=told,
            once=told.text("once") or str(self.ids.new()),
            version=version_of(told),
            seen=told.text("seen"),
        )


@contextmanager
def once(told: Form[Any], step: str = "") -> Iterator[None]:
    """Let a command happen once for a form, however often its button is pressed.

    A form with several commands names each `step`. Sent again, it gets the first answer.
    """
    key = told.text("once")
    if not key:
        yield
        return
    call = link.current()
    said = sorted((name, tuple(texts)) for name, texts in told.said.items())
    idempotency = Idempotency(
        key=f"{key} {step}"[:255],
        fingerprint=hashlib.sha256(repr(said).encode()).hexdigest(),
        scope=call.caller.subject,
    )
    with link.answering(structs.replace(call, idempotency=idempotency)):
        yield


def version_of(told: Form[Any]) -> int:
    """Tell which version a form began with; 0 is that of what is not there yet."""
    said = told.text("version")
    return int(said) if said.isascii() and said.isdigit() and len(said) < len("9" * 18) else 0


def began_with(told: Form[Any], kind: type[V]) -> V | None:
    """Read back what the writer of a form has seen when it was opened."""
    seen = _read(told.text("seen"))
    return None if seen is None else read(urlencode(seen, doseq=True), kind).value


def explained(name: str, flaw: str) -> str:
    """Say in a sentence what is wrong with a field."""
    if flaw == "missing":
        return f"{label(name)}: {MISSING}"
    return f"{label(name)}: {HINTS.get(name.rpartition('.')[2], INVALID)}"


def label(name: str) -> str:
    """Call a field as people do: `variants.0.weight_grams` is “Variant 1, weight grams”."""
    words: list[str] = []
    for part in name.replace("_", " ").split("."):
        if part.isdigit():
            words[-1] = f"{words[-1].removesuffix('s')} {int(part) + 1}"
        else:
            words.append(part)
    return ", ".join(words).capitalize()


def where(problem: Problem) -> tuple[str, str]:
    """Tell which field a problem is about, and what it says of it."""
    told = problem.fields()
    match told:
        case {"pointer": str(pointer), "reason": str(reason)}:
            name = pointer.strip("/").replace("/", ".").replace("~1", "/").replace("~0", "~")
            return name, f"{label(name)}: {reason}".removeprefix(": ")
        case {"what": str(what), "value": value}:
            return what, f"{value} belongs to another product already."
        case _ if isinstance(problem, KeyReused):
            return "", SENT_BEFORE
        case _:
            return "", str(problem)


def changes(seen: str, now: Value) -> tuple[Changed, ...]:
    """Compare what a form began with to what is there now."""
    before, after = _read(seen), dict(spread(now))
    if before is None:
        return ()
    return tuple(
        Changed(name=name, label=label(name), was=_said(before, name), now=_said(after, name))
        for name in sorted(before.keys() | after.keys())
        if _said(before, name) != _said(after, name)
    )


def _merged(told: Form[Any], now: Value) -> dict[str, Sequence[str]]:
    """Take over what others said in fields that were not touched; rows stay as they were typed."""
    before, after = _read(told.text("seen")) or {}, dict(spread(now))
    untouched = {
        name
        for name in before.keys() | after.keys()
        if not re.search(r"\.[0-9]+\.", name) and _said(told.said, name) == _said(before, name)
    }
    kept = {name: said for name, said in told.said.items() if name not in untouched}
    return kept | {name: after[name] for name in untouched if name in after}


def _read(seen: str) -> dict[str, list[str]] | None:
    try:
        return msgspec.json.decode(seen, type=dict[str, list[str]])
    except msgspec.MsgspecError:
        return None


def _said(told: Mapping[str, Sequence[str]], name: str) -> str:
    return ", ".join(told.get(name, ()))


def seen_as(value: Value) -> str:
    """Write down what is shown, so that the form brings it along."""
    return msgspec.json.encode(dict(spread(value))).decode()
