"""Settings are typed, layered, and refuse what they do not know."""

import json
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.settings import Misconfigured, Secret, Settings, environment, load


class Shelf(Settings):
    """How a shelf is run."""

    limit: Annotated[int, msgspec.Meta(ge=1)] = 24
    speed: float = 1.5
    open: bool = True
    style: Literal["plain", "ornate"] = "plain"
    key: Secret = Secret("")
    names: tuple[str, ...] = ()
    note: str | None = None


class Vault(Settings):
    """What cannot run without its key."""

    key: Secret
    door: str


def complaints(**given: str | int) -> str:
    with pytest.raises(Misconfigured) as refused:
        load(Shelf, "shelf", file={"shelf": given}, environment={})
    return str(refused.value)


def test_what_nobody_set_has_its_default() -> None:
    settled = load(Shelf, "shelf", file={}, environment={})

    assert settled == Shelf()


@given(st.integers(1, 2**40), st.integers(1, 2**40))
def test_the_environment_wins_over_the_file(filed: int, spoken: int) -> None:
    file = {"shelf": {"limit": filed, "open": False}}

    settled = load(Shelf, "shelf", file=file, environment={"BANYAN_SHELF_LIMIT": str(spoken)})

    assert (settled.limit, settled.open) == (spoken, False)


@given(
    st.builds(
        Shelf,
        limit=st.integers(1, 2**60),
        speed=st.floats(allow_nan=False, allow_infinity=False),
        open=st.booleans(),
        style=st.sampled_from(["plain", "ornate"]),
        names=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    )
)
def test_every_type_can_be_spelled_in_the_environment(wanted: Shelf) -> None:
    spoken = {
        "BANYAN_SHELF_LIMIT": str(wanted.limit),
        "BANYAN_SHELF_SPEED": repr(wanted.speed),
        "BANYAN_SHELF_OPEN": str(wanted.open).lower(),
        "BANYAN_SHELF_STYLE": wanted.style,
        "BANYAN_SHELF_NAMES": json.dumps(wanted.names),
    }

    assert load(Shelf, "shelf", file={}, environment=spoken) == wanted


@pytest.mark.parametrize(("spoken", "meant"), [("1", True), ("0", False), ("TRUE", True)])
def test_a_switch_is_spelled_in_the_environment_as_shells_do(spoken: str, meant: object) -> None:
    settled = load(Shelf, "shelf", file={}, environment={"BANYAN_SHELF_OPEN": spoken})

    assert settled.open is meant


def test_other_sections_and_other_programs_are_none_of_its_business() -> None:
    spoken = {"BANYAN_DOOR_LIMIT": "x", "PATH": "/bin", "SHELF_LIMIT": "2"}

    assert load(Shelf, "shelf", file={"door": {"limit": "x"}}, environment=spoken) == Shelf()


def test_a_misspelt_setting_is_refused_with_what_was_meant_and_what_is_allowed() -> None:
    told = complaints(limt=3)

    assert told.startswith("[settings.shelf] limt: there is no setting 'limt'")
    assert "did you mean 'limit'?" in told
    assert "Allowed: key, limit, names, note, open, speed, style." in told


def test_a_misspelt_variable_is_refused_by_its_name() -> None:
    with pytest.raises(Misconfigured, match="BANYAN_SHELF_LIMT: there is no setting 'limt'; did"):
        load(Shelf, "shelf", file={}, environment={"BANYAN_SHELF_LIMT": "3"})


def test_a_wrong_type_is_refused_by_the_name_of_its_setting() -> None:
    assert complaints(limit="many") == "[settings.shelf] limit: Expected `int`, got `str`."
    assert complaints(limit=0) == "[settings.shelf] limit: Expected `int` >= 1."
    assert "style: Invalid enum value 'odd'" in complaints(style="odd")
    assert "key: Expected text for Secret" in complaints(key=5)


def test_a_variable_of_the_wrong_type_is_refused_by_its_name() -> None:
    with pytest.raises(Misconfigured, match="BANYAN_SHELF_LIMIT: Expected `int`, got `str`"):
        load(Shelf, "shelf", file={}, environment={"BANYAN_SHELF_LIMIT": "many"})


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(Misconfigured) as refused:
        load(
            Shelf,
            "shelf",
            file={"shelf": {"limit": "many", "colour": "red"}},
            environment={"BANYAN_SHELF_SPEED": "fast"},
        )

    assert len(refused.value.complaints) == 3


def test_a_setting_without_default_is_asked_for_in_both_its_spellings() -> None:
    with pytest.raises(Misconfigured) as refused:
        load(Vault, "vault", file={"vault": {"door": "oak"}}, environment={})

    assert refused.value.complaints == (
        "[settings.vault] key: needs a value, there or in BANYAN_VAULT_KEY.",
    )


def test_a_section_that_is_no_table_is_refused() -> None:
    with pytest.raises(Misconfigured, match=r"\[settings.shelf\] must be a table"):
        load(Shelf, "shelf", file={"shelf": 5}, environment={})


def test_a_rule_of_the_settings_themselves_is_a_complaint_too() -> None:
    class Range(Settings):
        """A range that is not empty."""

        low: int = 0
        high: int = 9

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low must not exceed high.")

    with pytest.raises(Misconfigured, match=r"\[settings.range\] low must not exceed high."):
        load(Range, "range", file={"range": {"low": 10}}, environment={})


@given(st.text(min_size=4))
def test_a_secret_shows_itself_to_nobody_who_does_not_ask(text: str) -> None:
    spoken = {"BANYAN_VAULT_KEY": text, "BANYAN_VAULT_DOOR": ""}

    key = load(Vault, "vault", file={}, environment=spoken).key

    assert key.reveal() == text
    assert {repr(key), str(key), f"{key}", f"{key!r:>1}"} == {"Secret(…)", "…"}
    assert repr(Vault(key=key, door="oak")) == "Vault(key=Secret(…), door='oak')"


def test_a_secret_does_not_travel() -> None:
    with pytest.raises(TypeError, match="Secret"):
        msgspec.json.encode(Vault(key=Secret("tell no one"), door="oak"))


def test_secrets_compare_by_what_they_hide() -> None:
    assert Secret("ü") == Secret("ü")
    assert Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


def test_the_environment_is_a_copy() -> None:
    copy = environment()

    copy["BANYAN_PLANTED"] = "1"

    assert "BANYAN_PLANTED" not in environment()


def test_what_may_be_a_text_or_a_table_is_a_table_where_it_is_written_as_one() -> None:
    class Place(Settings):
        """Where something is."""

        where: str | dict[str, str] = ""
        name: str = ""

    told = {"BANYAN_PLACE_WHERE": '{"here": "x"}', "BANYAN_PLACE_NAME": '{"a": "text"}'}

    place = load(Place, "place", file={}, environment=told)

    assert place == Place(where={"here": "x"}, name='{"a": "text"}')


def test_a_path_is_spelled_as_text() -> None:
    class Files(Settings):
        """What lies somewhere."""

        key: Path | None = None

    filed = load(Files, "files", file={"files": {"key": "/a/b"}}, environment={})
    spoken = load(Files, "files", file={}, environment={"BANYAN_FILES_KEY": "/a/b"})

    assert filed == spoken == Files(key=Path("/a/b"))
