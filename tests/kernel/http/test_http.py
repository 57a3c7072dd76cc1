"""Over HTTP, what is right is answered plainly, and what is wrong is refused with its reason."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from banyan.kernel.http import build
from banyan.kernel.settings import Misconfigured
from tests.kernel.http.house import CAR, JSON, KEEPER, Parts, Porter, flaws
from tests.kernel.http.toybox import Toy, ToyboxService, ToyId, Toys


async def test_what_was_made_can_be_read_and_changed(client: httpx.AsyncClient) -> None:
    new = {"name": "train", "wheels": [{"spokes": 8}]}

    made = await client.post("/api/admin/toys", json=new, headers=KEEPER)
    toy = made.json()["id"]
    read = await client.get(f"/api/store/toys/{toy}")
    changed = await client.patch(
        f"/api/admin/toys/{toy}",
        json={"pieces": 9},
        headers={**KEEPER, "if-match": read.headers["etag"]},
    )

    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    assert (read.status_code, read.json()) == (200, made.json())
    assert read.json() | {"pieces": 9, "version": 2} == changed.json()
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')


async def test_a_problem_says_what_it_is_and_which_trace_it_belongs_to(
    client: httpx.AsyncClient,
) -> None:
    unknown = "01a203ff-0f59-728a-9231-0131fcfd07ff"

    answer = await client.get(f"/api/store/toys/{unknown}")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/unknown_toy",
        "title": "There is no such toy.",
        "status": 404,
        "detail": f"There is no such toy. (toy={unknown})",
        "instance": f"/api/store/toys/{unknown}",
        "code": "unknown_toy",
        "trace_id": answer.headers["trace-id"],
        "toy": unknown,
    }


async def test_of_a_fault_only_the_trace_is_told(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/store/greetings/broken")

    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_fault"
    assert answer.json()["trace_id"] == answer.headers["trace-id"]
    assert "4711" not in answer.text


async def test_what_does_not_answer_in_time_says_when_to_come_back(
    client: httpx.AsyncClient, box: ToyboxService
) -> None:
    box.asleep = True

    answer = await client.get("/api/store/toys")

    assert (answer.status_code, answer.json()["what"]) == (503, "toybox")
    assert answer.headers["retry-after"] == "1"


async def test_an_address_that_leads_nowhere_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/store/toy")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_wrong_method_is_told_the_right_ones(client: httpx.AsyncClient) -> None:
    answer = await client.put(f"/api/store/toys/{CAR}")

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"null", ""),
        (b"{", ""),
        (b'{"name": "car",}', ""),
        (b"\xff\xfe{}", ""),
        (b'{"name": "\\ud800"}', ""),
        (b'{"name": "car", "pieces": NaN}', ""),
        (b'{"name": ' + b"[" * 100_000, ""),
        (b'{"name": "a\\u0000b"}', "/name"),
        (b"{}", "/name"),
        (b'{"name": ""}', "/name"),
        (b'{"name": "car", "pieces": "3"}', "/pieces"),
        (b'{"name": "car", "pieces": 3.5}', "/pieces"),
        (b'{"name": "car", "pieces": 0}', "/pieces"),
        (b'{"name": "car", "pieces": 10001}', "/pieces"),
        (b'{"name": "car", "wheels": [{}, {"spokes": 9223372036854775808}]}', "/wheels/1/spokes"),
        (b'{"name": "car", "colour": "red"}', "/colour"),
        (b'{"name": "car", "wheels": [{"spkes": 8}]}', "/wheels/0/spkes"),
        (b'{"name": "car", "labels": {"a/b": 3}}', "/labels"),
        (b'{"name": "car", "labels": {"a/b": "\\u0000"}}', "/labels/a~1b"),
    ],
)
async def test_a_wrong_body_is_refused_at_the_place_that_is_wrong(
    client: httpx.AsyncClient, body: bytes, pointer: str
) -> None:
    answer = await client.post("/api/admin/toys", content=body, headers={**KEEPER, **JSON})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert pointer in flaws(answer)


async def test_all_unknown_fields_are_named_at_once(client: httpx.AsyncClient) -> None:
    new = {"name": "car", "colour": "red", "wheels": [{"size": 1}]}

    answer = await client.post("/api/admin/toys", json=new, headers=KEEPER)

    assert set(flaws(answer)) == {"/colour", "/wheels/0/size"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("smallest=-1", "smallest"),
        ("smallest=99999999999999999999", "smallest"),
        ("cursor=a%00b", "query"),
    ],
)
async def test_a_wrong_parameter_is_refused_by_its_name(
    client: httpx.AsyncClient, query: str, parameter: str
) -> None:
    answer = await client.get(f"/api/store/toys?{query}")

    assert answer.status_code == 400
    assert parameter in flaws(answer)


async def test_a_wrong_id_is_refused_by_its_name(client: httpx.AsyncClient) -> None:
    malformed = await client.get("/api/store/toys/x")
    nul = await client.get("/api/store/toys/%00")
    line_break = await client.get(f"/api/store/toys/{CAR}%0A")

    assert set(flaws(malformed)) == {"toy"}
    assert set(flaws(nul)) == set(flaws(line_break)) == {"path"}


async def test_a_made_up_cursor_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/store/toys?cursor=WyJhIl0")

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_a_body_of_another_kind_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/admin/toys", data={"name": "car"}, headers=KEEPER)

    assert (answer.status_code, answer.headers["accept"]) == (415, "application/json")


@pytest.mark.parametrize(
    ("accept", "status"),
    [("text/html", 406), ("application/*", 200), ("text/html, */*;q=0.1", 200)],
)
async def test_only_json_can_be_asked_for(
    client: httpx.AsyncClient, accept: str, status: int
) -> None:
    answer = await client.get("/api/store/toys", headers={"accept": accept})

    assert answer.status_code == status


async def test_a_change_says_what_it_changes(client: httpx.AsyncClient) -> None:
    answer = await client.patch(f"/api/admin/toys/{CAR}", json={"pieces": 4}, headers=KEEPER)

    assert (answer.status_code, answer.json()["code"]) == (428, "match_missing")


@pytest.mark.parametrize(
    ("if_match", "status"),
    [('"1"', 200), ("*", 200), ('"0", "1"', 200), ('"2"', 412), ('W/"1"', 412), ("1", 400)],
)
async def test_a_change_is_made_to_what_was_read_or_not_at_all(
    client: httpx.AsyncClient, box: ToyboxService, if_match: str, status: int
) -> None:
    answer = await client.patch(
        f"/api/admin/toys/{CAR}", json={"pieces": 4}, headers={**KEEPER, "if-match": if_match}
    )

    assert answer.status_code == status
    assert box.kept[CAR].pieces == (4 if status == 200 else 3)
    if status == 412:
        assert (answer.json()["current"], answer.headers["etag"]) == (1, '"1"')


async def test_what_the_reader_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    read = await client.get(f"/api/store/toys/{CAR}")
    tag = read.headers["etag"]

    again = await client.get(f"/api/store/toys/{CAR}", headers={"if-none-match": tag})
    changed = await client.get(f"/api/store/toys/{CAR}", headers={"if-none-match": '"7"'})

    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert changed.json() == read.json()


async def test_pages_follow_each_other_to_the_end(
    client: httpx.AsyncClient, box: ToyboxService
) -> None:
    for place in range(7):
        toy = ToyId(UUID(int=place))
        box.kept[toy] = Toy(id=toy, name="doll", pieces=2)
    address, seen = "/api/store/toys?limit=3&smallest=2", []

    for _ in range(10):
        answer = await client.get(address)
        seen += [toy["id"] for toy in answer.json()["items"]]
        if "next" not in answer.links:
            break
        address = answer.links["next"]["url"]

    assert "limit=3&smallest=2" in address
    assert answer.json()["next"] is None
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize(
    ("query", "headers", "market", "locale"),
    [
        ("", {}, None, None),
        ("", {"accept-language": "fr"}, None, None),
        ("", {"banyan-market": "eu", "accept-language": "fr, de-AT;q=0.8"}, "eu", "de"),
        ("?market=us&locale=en-GB", {"banyan-market": "eu", "accept-language": "de"}, "us", "en"),
        ("?locale=fr", {"accept-language": "de"}, None, "de"),
    ],
)
async def test_a_visitor_is_met_where_and_how_they_wish(
    client: httpx.AsyncClient,
    query: str,
    headers: dict[str, str],
    market: str | None,
    locale: str | None,
) -> None:
    answer = await client.get(f"/api/store/greetings{query}", headers=headers)

    assert answer.json() == {"market": market, "locale": locale}
    assert answer.headers.get("content-language") == locale
    assert answer.headers["vary"] == "Accept-Language, Banyan-Market"


@pytest.mark.parametrize(
    ("query", "headers", "parameter"),
    [
        ("?market=EU", {}, "market"),
        ("?market=", {}, "market"),
        ("?market=eu", {"banyan-market": "a b"}, "Banyan-Market"),
        ("?locale=de_AT", {}, "locale"),
    ],
)
async def test_a_market_that_cannot_be_one_is_refused(
    client: httpx.AsyncClient, query: str, headers: dict[str, str], parameter: str
) -> None:
    answer = await client.get(f"/api/store/greetings{query}", headers=headers)

    assert answer.status_code == 400
    assert set(flaws(answer)) == {parameter}


async def test_a_controller_gets_what_it_names_or_the_house_does_not_open(parts: Parts) -> None:
    with pytest.raises(Misconfigured, match="Toys asks for toybox"):
        build([Toys], dependencies={}, gate=Porter(), ready=parts.look)
