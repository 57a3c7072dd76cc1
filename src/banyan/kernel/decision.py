"""Rules as rows of data, which an operator edits and by which ZEN decides."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal, Self, cast

import msgspec
import zen

from banyan.kernel.contract import Problem, Value
from banyan.kernel.settings import unknown

Fact = str | int | float | Decimal | bool | None
Answer = str | int | Decimal | bool | None
Kind = Literal["text", "number", "boolean"]

_LONGEST_FORMULA = 1000
_NUMBER = r"-?\d+(?:\.\d+)?"
_COMPARISON = re.compile(rf"(?:<=?|>=?|!=)\s*{_NUMBER}", re.ASCII)
_RANGE = re.compile(rf"[\[(]\s*{_NUMBER}\s*\.\.\s*{_NUMBER}\s*[\])]", re.ASCII)
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ROW = "_row"
_SAMPLES: dict[Kind, Fact] = {"text": "a", "number": 1, "boolean": True}
_HINTS: dict[Kind, str] = {
    "text": "write a text, != and a text, or a list of texts",
    "number": "write a number, a list of numbers, <= 5 or [1..5]",
    "boolean": "write true or false",
}


class BrokenTable(Problem, status=422):
    """The decision table cannot be read."""

    where: str
    reason: str


class BrokenExpression(Problem, status=422):
    """The expression cannot be computed."""

    expression: str
    reason: str


class Expression:
    """A formula over facts, compiled once: `990 + grams / 100`."""

    def __init__(self, text: str) -> None:
        self._text = text[:_LONGEST_FORMULA]
        if len(text) > _LONGEST_FORMULA:
            raise self._broken(f"It is longer than {_LONGEST_FORMULA} characters.")
        try:
            self._compiled = zen.compile_expression(text)
        except RuntimeError as refusal:
            raise self._broken(_reason(refusal)) from None

    def evaluate(self, facts: Mapping[str, Fact]) -> Any:
        """Compute it; a whole number comes back as int, any other as Decimal."""
        try:
            return _exact(self._compiled.evaluate({n: _plain(fact) for n, fact in facts.items()}))
        except RuntimeError as refusal:
            raise self._broken(_reason(refusal)) from None

    def _broken(self, reason: str) -> BrokenExpression:
        return BrokenExpression(expression=self._text, reason=reason)


def expression(text: str) -> Expression:
    """Compile a formula, or say why that is not possible."""
    return Expression(text)


class _Document(Value, forbid_unknown_fields=True):
    """A table as an operator writes it and a module stores it."""

    when: dict[str, Kind]
    then: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    hit: Literal["first", "all"] = "first"


class DecisionTable:
    """Rows, tried from the top: one whose conditions all hold gives its answers.

    ```json
    {"when": {"zone": "text", "grams": "number"}, "then": ["cost"], "hit": "first", "rows": [
      {"zone": "de", "grams": "<= 1000", "cost": 490},
      {"zone": ["at", "ch"], "grams": "[1001..5000]", "cost": "= 990 + grams / 100"},
      {"zone": "!= us", "cost": 1990}
    ]}
    ```

    A condition is a value, a list of values or `!= value`; on a number also `<`, `<=`, `>`, `>=`,
    `[1..5]` and, without its ends, `(1..5)`; or `=` and a formula that is true or false, such as
    `= startsWith(zone, "d") and grams > 5`. Where it is absent, null or empty, anything goes;
    otherwise it does not hold of a fact that is not known. An answer is a value, or `=` and a
    formula.
    """

    def __init__(self, document: _Document) -> None:
        self._document = document
        self._jdm = _Spelling(document).jdm()
        # A static loader compiles the table once; ZEN's other ways in take twenty times as long.
        self._engine = zen.ZenEngine(
            {"loader": {"type": "static", "content": {"table": self._jdm}}}
        )

    @classmethod
    def parse(cls, document: Mapping[str, Any] | str) -> Self:
        """Read a table and try each of its cells; a slip is refused by its row and column."""
        try:
            if isinstance(document, str):
                return cls(msgspec.json.decode(document, type=_Document))
            return cls(msgspec.convert(document, _Document))
        except (msgspec.DecodeError, UnicodeError) as refusal:
            raise BrokenTable(where="table", reason=f"{refusal}.") from None

    def decide(self, facts: Mapping[str, Fact]) -> list[dict[str, Answer]]:
        """List the answers of the rows that hold: at most one, when the first hit decides.

        Every column needs its fact, of the column's kind; None where it is not known.
        """
        told = {name: self._fact(name, facts) for name in self._document.when}
        try:
            found = cast(Any, self._engine.evaluate("table", told)["result"])
        except RuntimeError as refusal:
            raise BrokenTable(where="table", reason=_reason(refusal)) from None
        if self._document.hit == "first":
            found = [found] if found else []
        return [self._answers(hit) for hit in found]

    def first(self, facts: Mapping[str, Fact]) -> dict[str, Answer] | None:
        """Take the answers of the first row that holds; None when no row does."""
        return next(iter(self.decide(facts)), None)

    def jdm(self) -> dict[str, Any]:
        """Write the table as ZEN's own JSON Decision Model, for tools that know that."""
        return cast(dict[str, Any], msgspec.json.decode(msgspec.json.encode(self._jdm)))

    def _fact(self, name: str, facts: Mapping[str, Fact]) -> Fact:
        if name not in facts:
            raise TypeError(f"the table decides by {name}, of which no fact was told")
        fact, kind = facts[name], self._document.when[name]
        if fact is not None and not _is_a(kind, fact):
            raise TypeError(f"the fact {name} must be a {kind}, not {fact!r}")
        return _plain(fact)

    def _answers(self, hit: Mapping[str, Any]) -> dict[str, Answer]:
        number = int(hit[_ROW])
        answers = {name: _exact(hit.get(name)) for name in self._document.then}
        for name, answer in answers.items():
            # ZEN is silent about a formula that fails; a cost that is not there is no cost of 0.
            if answer is None and self._document.rows[number - 1][name] is not None:
                raise BrokenTable(
                    where=_place(number, name), reason="It cannot be computed from these facts."
                )
        return answers


class _Spelling:
    """A table on its way into ZEN's own format, which refuses nothing: what is wrong, we refuse.

    Formulas of conditions get a node of their own before the table, since in a cell ZEN takes an
    `and` between parentheses for something that never holds.
    """

    def __init__(self, document: _Document) -> None:
        self._document = document
        self._samples = {name: _SAMPLES[kind] for name, kind in document.when.items()}
        self._formulas: list[dict[str, str]] = []

    def jdm(self) -> dict[str, Any]:
        """Spell the whole table, column by column and cell by cell."""
        self._refuse_bad_columns()
        document = self._document
        rules = [
            {"_id": str(number), _ROW: str(number), **self._rule(number, row)}
            for number, row in enumerate(document.rows, 1)
        ]
        table = {
            "hitPolicy": "first" if document.hit == "first" else "collect",
            "inputs": [_column(name) for name in document.when],
            "outputs": [_column(name) for name in (_ROW, *document.then)],
            "rules": rules,
        }
        formulas = {"expressions": self._formulas, "passThrough": True, "executionMode": "single"}
        nodes = {
            "facts": ("inputNode", {}),
            "formulas": ("expressionNode", formulas),
            "table": ("decisionTableNode", table),
            "answers": ("outputNode", {}),
        }
        return {
            "nodes": [
                {"id": name, "name": name, "type": kind, "content": content}
                # Where a graphical editor draws it.
                | {"position": {"x": 300 * place, "y": 0}}
                for place, (name, (kind, content)) in enumerate(nodes.items())
            ],
            "edges": [
                {"id": f"{one}-{other}", "type": "edge", "sourceId": one, "targetId": other}
                for one, other in pairwise(nodes)
            ],
        }

    def _refuse_bad_columns(self) -> None:
        names = [*self._document.when, *self._document.then]
        for name in names:
            if not _COLUMN.fullmatch(name) or _is_a_word_of_zen(name):
                raise BrokenTable(where=f"column {name}", reason="This is no name for a column.")
            if names.count(name) > 1:
                raise BrokenTable(where=f"column {name}", reason="There is more than one of them.")
        if not self._document.then:
            raise BrokenTable(where="then", reason="There must be at least one answer.")

    def _rule(self, number: int, row: Mapping[str, object]) -> dict[str, str]:
        columns = [*self._document.when, *self._document.then]
        for name in row:
            if name not in columns:
                reason = f"There is no column {unknown(name, columns)}"
                raise BrokenTable(where=f"row {number}", reason=reason)
        return {name: self._cell(number, row, name) for name in columns}

    def _cell(self, number: int, row: Mapping[str, object], name: str) -> str:
        """Spell one cell, and try it out on facts of the right kinds."""
        try:
            if name in self._document.then:
                return self._answer(row, name)
            cell = row.get(name)
            if isinstance(cell, str) and cell.startswith("="):
                return self._formula(f"_when_{number}_{name}", cell.removeprefix("="))
            return _condition(self._document.when[name], cell)
        except BrokenExpression as broken:
            raise BrokenTable(where=_place(number, name), reason=broken.reason) from None
        except ValueError as refusal:
            raise BrokenTable(where=_place(number, name), reason=str(refusal)) from None

    def _formula(self, key: str, formula: str) -> str:
        if not _is_a("boolean", Expression(formula).evaluate(self._samples)):
            raise ValueError("The formula of a condition must be true or false.")
        asked = sorted(set(_COLUMN.findall(formula)) & set(self._samples))
        guarded = f"({formula})"
        if asked:
            guarded = f"{' or '.join(f'{name} == null' for name in asked)} ? false : ({formula})"
        self._formulas.append({"id": key, "key": key, "value": guarded})
        return f"{key} == true"

    def _answer(self, row: Mapping[str, object], name: str) -> str:
        if name not in row:
            raise ValueError("The answer is missing; null says that there is none.")
        match row[name]:
            case None:
                return "null"
            case str() as cell if cell.startswith("="):
                found = Expression(cell.removeprefix("=")).evaluate(self._samples)
                if found is not None and not any(_is_a(kind, found) for kind in _SAMPLES):
                    raise ValueError("The formula of an answer must make one value.")
                return cell.removeprefix("=")
            case bool() as cell:
                return _literal("boolean", cell)
            case str() as cell:
                return _literal("text", cell)
            case cell:
                return _literal("number", cell)


def _column(name: str) -> dict[str, str]:
    return {"id": name, "name": name, "field": name}


def _is_a_word_of_zen(name: str) -> bool:
    """A word such as `in` or `true` would not stand for the fact of its column."""
    try:
        return cast(bool, Expression(name).evaluate({name: "a"}) != "a")
    except BrokenExpression:
        return True


def _condition(kind: Kind, cell: object) -> str:
    """Spell a condition that is no formula; `$` is the fact of its column."""
    match cell:
        case None | "":
            return ""
        case list():
            return f"$ in [{', '.join(_literal(kind, each) for each in cell)}]"
        case str() if kind == "text" and cell.startswith("!="):
            return f"$ != null and $ != {_literal(kind, cell.removeprefix('!=').strip())}"
        case str() if kind == "number" and _COMPARISON.fullmatch(cell):
            return f"$ != null and $ {cell}"
        case str() if kind == "number" and _RANGE.fullmatch(cell):
            return f"$ in {cell}"
        case _:
            return f"$ == {_literal(kind, cell)}"


def _literal(kind: Kind, value: object) -> str:
    if not _is_a(kind, value):
        raise ValueError(f"{value!r} does not fit a column of {kind}: {_HINTS[kind]}.")
    if kind == "text":
        # ZEN knows no escapes: a double quote is put in between single ones.
        return "(" + " + '\"' + ".join(f'"{part}"' for part in str(value).split('"')) + ")"
    return f"{Decimal(str(value)):f}" if kind == "number" else str(value).lower()


def _is_a(kind: Kind, value: object) -> bool:
    match kind:
        case "text":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "number":
            is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            return is_number and math.isfinite(cast(float, value))


def _place(number: int, name: str) -> str:
    return f"row {number}, column {name}"


def _plain(fact: Fact) -> Fact:
    """ZEN reads no Decimal; its own numbers are decimal again."""
    if isinstance(fact, Decimal):
        return int(fact) if fact == fact.to_integral_value() else float(fact)
    return fact


def _exact(told: Any) -> Any:
    """Undo that ZEN's decimals leave it as floats."""
    if isinstance(told, float):
        return int(told) if told.is_integer() else Decimal(repr(told))
    return told


def _reason(refusal: RuntimeError) -> str:
    """Take the reason out of ZEN's message, which goes on with a backtrace of its own."""
    first_line = str(refusal).partition("\n")[0]
    try:
        return f"{msgspec.json.decode(first_line)['source']}."
    except (msgspec.DecodeError, KeyError, TypeError):
        return first_line
