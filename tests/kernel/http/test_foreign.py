"""A form that another site made a browser send is refused; programs are not concerned."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from banyan.kernel.edge import _refuse_foreign
from banyan.kernel.refusal import CrossSite

FORM = {"content-type": "application/x-www-form-urlencoded"}
HOST = b"shop.example"

methods = st.sampled_from(["POST", "PUT", "PATCH", "DELETE"])
types = st.sampled_from(
    [b"", b"text/plain", b"multipart/form-data", b"application/x-www-form-urlencoded"]
)


def refused(method: str, headers: dict[bytes, bytes]) -> bool:
    try:
        _refuse_foreign({"method": method}, {b"host": HOST, **headers})
    except CrossSite:
        return True
    return False


@pytest.mark.parametrize("began", ["cross-site", "same-site"])
async def test_a_form_of_another_site_is_refused_and_not_looked_at(
    client: httpx.AsyncClient, began: str
) -> None:
    headers = {**FORM, "sec-fetch-site": began}

    answer = await client.post("/api/toys", content="name=doll", headers=headers)

    assert answer.status_code == 403
    assert answer.json()["code"] == "cross_site"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_link_of_another_site_leads_here(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/health/live", headers={"sec-fetch-site": "cross-site"})

    assert answer.status_code != 403


@given(methods, types, st.binary().filter(lambda said: said not in (b"same-origin", b"none")))
def test_whatever_a_browser_says_but_that_it_was_here_is_foreign(
    method: str, kind: bytes, began: bytes
) -> None:
    assert refused(method, {b"content-type": kind, b"sec-fetch-site": began})


@pytest.mark.parametrize(
    "kind", [b"text/plain; json", b"application/x-www-form-urlencoded;charset=json"]
)
def test_a_form_that_only_mentions_json_is_a_form(kind: bytes) -> None:
    assert refused("POST", {b"content-type": kind, b"sec-fetch-site": b"cross-site"})


@pytest.mark.parametrize("kind", [b"application/json", b"application/merge-patch+json; x=y"])
def test_for_json_a_browser_would_have_asked_first(kind: bytes) -> None:
    assert not refused("POST", {b"content-type": kind, b"sec-fetch-site": b"cross-site"})


@given(methods, types, st.sampled_from([b"same-origin", b"none"]))
def test_our_own_forms_pass(method: str, kind: bytes, began: bytes) -> None:
    assert not refused(method, {b"content-type": kind, b"sec-fetch-site": began})


@given(methods, types, st.binary())
def test_an_older_browser_tells_by_its_origin(method: str, kind: bytes, origin: bytes) -> None:
    ours = origin.endswith(b"://" + HOST)

    assert refused(method, {b"content-type": kind, b"origin": origin}) == (
        bool(origin) and not ours
    )


@pytest.mark.parametrize(
    "origin",
    [b"https://shop.example.evil.example", b"https://evil-shop.example", b"null", b"shop.example"],
)
def test_an_origin_that_only_looks_like_ours_is_foreign(origin: bytes) -> None:
    assert refused("POST", {b"origin": origin})


@given(methods, types)
def test_a_program_which_says_nothing_of_origins_passes(method: str, kind: bytes) -> None:
    assert not refused(method, {b"content-type": kind})


@given(st.sampled_from(["GET", "HEAD", "OPTIONS"]), st.binary())
def test_reading_is_never_foreign(method: str, began: bytes) -> None:
    assert not refused(method, {b"sec-fetch-site": began, b"origin": began})
