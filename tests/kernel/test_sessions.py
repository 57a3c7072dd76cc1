"""A session is a browser's: it ends by the clock, nobody makes one up, and a new key ends all."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.clock import FixedClock
from banyan.kernel.security import SESSION_SECONDS, Caller, TokenGate, fingerprint

TOKEN = "bny_the-token"


def gate(token: str = TOKEN, clock: FixedClock | None = None) -> TokenGate:
    return TokenGate(fingerprint(token), clock=clock or FixedClock())


def opened(gate: TokenGate) -> str:
    session = asyncio.run(gate.session(TOKEN))
    assert session
    return session.reveal()


def known(gate: TokenGate, session: str) -> Caller | None:
    return asyncio.run(gate.caller(session))


@given(st.integers(min_value=0, max_value=2 * SESSION_SECONDS))
def test_a_session_lasts_twelve_hours_and_not_a_second_longer(seconds: int) -> None:
    clock = FixedClock()
    door = gate(clock=clock)
    session = opened(door)

    clock.advance(seconds)

    assert (known(door, session) is not None) == (seconds < SESSION_SECONDS)


def test_whoever_holds_a_session_may_what_the_holder_of_the_token_may() -> None:
    door = gate()

    assert known(door, opened(door)) == known(door, TOKEN)


@given(st.text())
def test_only_the_token_opens_a_session(token: str) -> None:
    assert token == TOKEN or asyncio.run(gate().session(token)) is None


def test_a_session_opens_no_other_session() -> None:
    door = gate()

    assert asyncio.run(door.session(opened(door))) is None


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_a_session_that_somebody_made_up_is_not_known(made_up: str) -> None:
    assert known(gate(), f"bns_{made_up}") is None


@given(st.data())
def test_a_session_changed_in_one_place_is_not_known(data: st.DataObject) -> None:
    door = gate()
    session = opened(door)
    place = data.draw(st.integers(min_value=0, max_value=len(session) - 2))
    other = data.draw(st.sampled_from("0a9_.-é").filter(lambda one: one != session[place]))

    forged = session[:place] + other + session[place + 1 :]

    assert known(door, forged) is None


@given(st.integers(min_value=1, max_value=10**11))
def test_nobody_makes_a_session_last_longer(seconds: int) -> None:
    door = gate()
    until, _, seal = opened(door).removeprefix("bns_").partition(".")

    assert known(door, f"bns_{int(until) + seconds}.{seal}") is None


def test_a_new_key_ends_all_sessions() -> None:
    session = opened(gate())

    assert known(gate("bny_another-token"), session) is None


def test_every_replica_knows_the_sessions_of_the_others() -> None:
    assert known(gate(), opened(gate())) is not None


@given(st.integers(min_value=0, max_value=10**6))
def test_a_browser_brings_a_session_back_as_it_got_it(seconds: int) -> None:
    clock = FixedClock()
    clock.advance(seconds)
    session = opened(gate(clock=clock))
    told = SimpleCookie()

    told["session"] = session

    assert told["session"].coded_value == session
