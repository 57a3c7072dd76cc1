"""A table of rows decides, exactly, and every slip in it is refused by its place."""

import json
import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.decision import BrokenExpression, BrokenTable, DecisionTable, Fact, expression

WHEN = {"zone": "text", "grams": "number", "express": "boolean"}


def table(*rows: dict[str, Any], hit: str = "first") -> DecisionTable:
    filled = [{"price": number, **row} for number, row in enumerate(rows, 1)]
    return DecisionTable.parse({"when": WHEN, "then": ["price"], "hit": hit, "rows": filled})


def facts(zone: Fact = "de", grams: Fact = 500, *, express: Fact = False) -> dict[str, Fact]:
    return {"zone": zone, "grams": grams, "express": express}


def broken(document: dict[str, Any] | str) -> BrokenTable:
    with pytest.raises(BrokenTable) as refused:
        DecisionTable.parse(document)
    return refused.value


def test_the_first_row_that_holds_decides() -> None:
    rates = table(
        {"zone": "de", "grams": "<= 1000", "price": 490},
        {"zone": ["at", "ch"], "grams": "[1001..5000]", "price": "= 990 + grams / 100"},
        {"zone": '= startsWith(zone, "f") and (grams > 3 or express)', "price": "dear"},
        {"zone": "!= us", "price": 19.9},
    )

    assert rates.decide(facts("de", 1000)) == [{"price": 490}]
    assert rates.decide(facts("at", 1002)) == [{"price": Decimal("1000.02")}]
    assert rates.decide(facts("fr", 4)) == [{"price": "dear"}]
    assert rates.decide(facts("fr", 2)) == [{"price": Decimal("19.9")}]
    assert rates.decide(facts("us")) == []


def test_where_all_hits_count_each_row_that_holds_answers() -> None:
    rates = table({"zone": "de"}, {"zone": "at"}, {"grams": "> 100"}, hit="all")

    assert rates.decide(facts("de", 500)) == [{"price": 1}, {"price": 3}]
    assert rates.first(facts("de", 500)) == {"price": 1}
    assert rates.decide(facts("us", 1)) == []
    assert rates.first(facts("us", 1)) is None


def test_a_table_is_read_from_its_json_text() -> None:
    text = '{"when": {"zone": "text"}, "then": ["fee"], "rows": [{"zone": "de", "fee": true}]}'

    assert DecisionTable.parse(text).first({"zone": "de"}) == {"fee": True}


def test_a_row_without_conditions_always_holds() -> None:
    assert table({"zone": "", "grams": None}).first(facts(None, None, express=None)) == {"price": 1}


def test_an_answer_may_be_nothing() -> None:
    assert table({"price": None}).first(facts()) == {"price": None}


@pytest.mark.parametrize(
    "row",
    [
        {"zone": "de"},
        {"zone": "!= de"},
        {"zone": ["de"]},
        {"zone": "= contains(zone, 'd')"},
        {"grams": 0},
        {"grams": "!= 5"},
        {"grams": "< 5"},
        {"grams": ">= 0"},
        {"grams": "[0..5]"},
        {"grams": "= grams * 2 > 1 or grams < 9"},
        {"express": True},
        {"express": False},
        {"express": "= not express"},
    ],
)
def test_no_condition_holds_of_a_fact_that_is_not_known(row: dict[str, Any]) -> None:
    assert table(row).decide(facts(None, None, express=None)) == []


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(words, words)
def test_a_text_stands_for_itself_whatever_signs_are_in_it(one: str, other: str) -> None:
    rates = table({"zone": [one]}, {"zone": ["", other]}, hit="all")

    assert rates.first(facts(one)) == {"price": 1}
    assert rates.decide(facts(other)) == [{"price": 1}] * (one == other) + [{"price": 2}]


@given(words.filter(lambda word: not word.startswith("=")))
def test_a_text_is_answered_as_it_was_written(word: str) -> None:
    assert table({"price": word}).first(facts()) == {"price": word}


@given(st.integers(-(2**53), 2**53) | st.decimals(-(10**6), 10**6, places=2))
def test_a_number_is_answered_exactly(number: int | Decimal) -> None:
    cell = int(number) if number == int(number) else float(number)

    (answer,) = table({"price": cell}).decide(facts())

    assert answer == {"price": number}
    assert not isinstance(answer["price"], float)


SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "!=": operator.ne,
}
numbers = st.integers(-20, 20) | st.decimals(-20, 20, places=1)


@given(st.sampled_from(sorted(SIGNS)), st.sampled_from(["", " "]), numbers, numbers)
def test_numbers_are_compared_as_numbers(
    sign: str, gap: str, bound: int | Decimal, fact: int | Decimal
) -> None:
    rates = table({"grams": f"{sign}{gap}{bound}"})

    assert bool(rates.decide(facts(grams=fact))) == SIGNS[sign](fact, bound)


@given(st.sampled_from("[("), st.sampled_from("])"), numbers, numbers, numbers)
def test_a_range_has_the_ends_that_its_brackets_say(
    left: str, right: str, low: int | Decimal, high: int | Decimal, fact: int | Decimal
) -> None:
    rates = table({"grams": f"{left}{low}..{high}{right}"})
    above = low <= fact if left == "[" else low < fact
    below = fact <= high if right == "]" else fact < high

    assert bool(rates.decide(facts(grams=fact))) == (above and below)


zones = st.sampled_from(["de", "at", "us"])
rows = st.fixed_dictionaries(
    {},
    optional={
        "zone": zones | st.lists(zones, min_size=1) | zones.map(lambda zone: f"= zone == '{zone}'"),
        "grams": st.integers(0, 3) | st.integers(0, 3).map(lambda bound: f"<= {bound}"),
        "express": st.booleans(),
    },
)


def holds(row: dict[str, Any], told: dict[str, Any]) -> bool:
    """Decide by the words of the docstring, without ZEN."""
    zone, grams, express = row.get("zone"), row.get("grams"), row.get("express")
    if isinstance(zone, str):
        zone = [zone.removeprefix("= zone == ").strip("'")]
    return (
        (zone is None or told["zone"] in zone)
        and (
            grams is None
            or (
                told["grams"] == grams
                if isinstance(grams, int)
                else told["grams"] <= int(grams[3:])
            )
        )
        and (express is None or told["express"] is express)
    )


@given(
    st.lists(rows, max_size=6),
    st.builds(facts, zones, st.integers(0, 3), express=st.booleans()),
)
def test_rows_decide_from_the_top_as_their_words_say(
    written: list[dict[str, Any]], told: dict[str, Fact]
) -> None:
    expected = [{"price": n} for n, row in enumerate(written, 1) if holds(row, told)]

    assert table(*written, hit="all").decide(told) == expected
    assert table(*written).decide(told) == expected[:1]


@pytest.mark.parametrize(
    ("row", "column", "reason"),
    [
        ({"zone": 5}, "zone", "5 does not fit a column of text"),
        ({"zone": ["de", 5]}, "zone", "5 does not fit"),
        ({"zone": {"a": 1}}, "zone", "does not fit a column of text"),
        ({"zone": "= grams +"}, "zone", "Unexpected end"),
        ({"zone": "= grams > 'a'"}, "zone", "Unsupported type"),
        ({"zone": "= weight > 5"}, "zone", "Unsupported type"),
        ({"zone": "= grams"}, "zone", "must be true or false"),
        ({"zone": "="}, "zone", "Unexpected end"),
        ({"zone": "= express) or (express"}, "zone", "Incomplete"),
        ({"zone": f"= {'1' * 2000}"}, "zone", "longer than 1000"),
        ({"grams": "heavy"}, "grams", "'heavy' does not fit a column of number: write a number"),
        ({"grams": "<= heavy"}, "grams", "does not fit"),
        ({"grams": "< ٣"}, "grams", "does not fit"),
        ({"grams": "[1..]"}, "grams", "does not fit"),
        ({"grams": True}, "grams", "does not fit"),
        ({"grams": float("nan")}, "grams", "does not fit"),
        ({"express": "yes"}, "express", "write true or false"),
        ({"price": "= nothing * 2"}, "price", "Unsupported type"),
        ({"price": "= [grams]"}, "price", "must make one value"),
        ({"price": [1]}, "price", "does not fit"),
    ],
)
def test_a_broken_cell_is_refused_by_its_row_and_column(
    row: dict[str, Any], column: str, reason: str
) -> None:
    problem = broken({"when": WHEN, "then": ["price"], "rows": [{"price": 1}, {"price": 1} | row]})

    assert problem.where == f"row 2, column {column}"
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("change", "where", "reason"),
    [
        ({"rows": [{"zome": "de", "price": 1}]}, "row 1", "'zome'; did you mean 'zone'?"),
        ({"rows": [{"zone": "de"}]}, "row 1, column price", "The answer is missing"),
        ({"then": []}, "then", "at least one answer"),
        ({"then": ["price", "price"]}, "column price", "more than one"),
        ({"then": ["zone"]}, "column zone", "more than one"),
        ({"then": ["the price"]}, "column the price", "no name for a column"),
        ({"when": {"true": "text"}}, "column true", "no name for a column"),
        ({"when": {"in": "text"}}, "column in", "no name for a column"),
        ({"when": {"_row": "text"}}, "column _row", "no name for a column"),
        ({"when": {"zone": "colour"}}, "table", "Invalid enum value 'colour'"),
        ({"hit": "last"}, "table", "Invalid enum value 'last'"),
        ({"rows": [5]}, "table", "Expected `object`, got `int`"),
        ({"columns": []}, "table", "unknown field `columns`"),
    ],
)
def test_a_broken_table_is_refused_by_its_place(
    change: dict[str, Any], where: str, reason: str
) -> None:
    problem = broken({"when": {"zone": "text"}, "then": ["price"], "rows": []} | change)

    assert problem.where == where
    assert reason in problem.reason


@pytest.mark.parametrize("text", ["", "[]", "null", '{"when": ', '{"rows": []}', "\ud800"])
def test_what_is_no_table_at_all_is_refused(text: str) -> None:
    assert broken(text).where == "table"


def test_an_answer_that_cannot_be_computed_is_a_problem_and_never_missing() -> None:
    rates = table({"price": "= 100 / grams"})

    with pytest.raises(BrokenTable, match="row 1, column price"):
        rates.decide(facts(grams=0))


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"zone": "de", "grams": 5}, "decides by express"),
        (facts(zone=5), "the fact zone must be a text"),
        (facts(grams="5"), "the fact grams must be a number"),
        (facts(grams=True), "the fact grams must be a number"),
        (facts(grams=float("inf")), "the fact grams must be a number"),
        (facts(express="yes"), "the fact express must be a boolean"),
    ],
)
def test_facts_of_the_wrong_kind_are_the_asker_s_mistake(
    told: dict[str, Fact], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        table().decide(told)


def test_facts_beyond_the_columns_are_passed_over() -> None:
    assert table({"zone": "de"}).first(facts() | {"mood": "good"}) == {"price": 1}


def test_a_table_can_be_taken_to_zen_s_own_tools() -> None:
    model = table({"zone": "= express or grams > 3"}).jdm()

    assert json.loads(json.dumps(model)) == model
    assert [node["type"] for node in model["nodes"]] == [
        "inputNode",
        "expressionNode",
        "decisionTableNode",
        "outputNode",
    ]


def test_an_expression_is_computed_exactly() -> None:
    assert expression("990 + grams / 100").evaluate({"grams": 5}) == Decimal("990.05")
    assert repr(expression("grams * 2").evaluate({"grams": Decimal("2.5")})) == "5"
    assert expression("0.1 + 0.2").evaluate({}) == Decimal("0.3")
    assert expression("zone == 'de'").evaluate({"zone": "de"}) is True


@pytest.mark.parametrize("text", ["", "grams +", "grams > 'a'", "foo(", "(" * 5000])
def test_an_expression_that_cannot_be_computed_is_refused_without_a_backtrace(text: str) -> None:
    with pytest.raises(BrokenExpression) as refused:
        expression(text).evaluate({"grams": 1})

    assert "\n" not in refused.value.reason
    assert text.startswith(refused.value.expression)
