"""Work in the back office over HTTP: who is let in, orders with their money, what got stuck."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from banyan.kernel.ids import Ids
from tests.channels.desk import soon
from tests.channels.office import dead_letter, ordered, stuck_saga
from tests.journeys.running import Running

PAGES = ("", "/orders", "/events", "/events/ordering/sagas", "/events/search/letters", "/topology")
FORM = {"sec-fetch-site": "same-origin"}


@pytest.fixture
def stranger(shop: Running) -> Iterator[httpx.Client]:
    """Stand before the door."""
    headers = {"accept": "text/html", **FORM}
    with httpx.Client(base_url=shop.url, headers=headers, timeout=20) as client:
        yield client


@pytest.fixture
def office(stranger: httpx.Client, shop: Running) -> httpx.Client:
    """Sit in the office: signed in, as a browser would be."""
    answer = stranger.post("/admin/sign-in", data={"token": shop.token})
    assert answer.status_code == 303
    return stranger


@pytest.fixture
def order(shop: Running) -> str:
    """Let somebody buy something."""
    return ordered(shop)


def hidden(page: httpx.Response, how: str) -> dict[str, str]:
    """Take what goes unseen with a form."""
    form = page.text.partition(f'/{how}"')[2].partition("</form>")[0]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


def sends(office: httpx.Client, order: str, how: str, **said: str) -> httpx.Response:
    """Fill in a form of an order, and say yes when asked again."""
    told = {**hidden(office.get(order), how), **said}
    asked = office.post(f"{order}/{how}", data=told)
    if asked.status_code != 200:
        return asked
    return office.post(f"{order}/{how}", data=hidden(asked, how))


def payment(office: httpx.Client, order: str) -> dict[str, str]:
    """Read the money of an order off its page."""
    facts = re.findall(r"<dt>([^<]+)</dt>\s*<dd[^>]*>([^<]*)</dd>", office.get(order).text)
    return {name: unescape(said).strip() for name, said in facts}


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_is_asked_to_sign_in_and_led_back(stranger: httpx.Client, page: str) -> None:
    answer = stranger.get(f"/admin{page}?x=1")

    assert answer.status_code == 303
    wanted = httpx.URL(answer.headers["location"]).params["to"]
    assert wanted == f"/admin{page}?x=1"


def test_a_wrong_token_says_what_to_do_and_keeps_the_way(stranger: httpx.Client) -> None:
    answer = stranger.post("/admin/sign-in", data={"token": "bny_no", "to": "/admin/orders"})

    assert answer.status_code == 401
    assert "admin-token" in answer.text
    assert 'name="to" value="/admin/orders"' in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/eu/en"])
def test_signing_in_leads_nobody_astray(stranger: httpx.Client, shop: Running, to: str) -> None:
    answer = stranger.post("/admin/sign-in", data={"token": shop.token, "to": to})

    assert answer.headers["location"] == "/admin"


def test_who_signed_out_is_a_stranger(office: httpx.Client) -> None:
    office.post("/admin/sign-out")

    assert office.get("/admin").status_code == 303


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_there_and_kept_by_nobody(office: httpx.Client, page: str) -> None:
    answer = office.get(f"/admin{page}")

    assert answer.status_code == 200
    assert "no-store" in answer.headers["cache-control"]
    assert answer.text.count("<h1") == 1


def test_what_is_nowhere_is_said_so_in_the_office(office: httpx.Client) -> None:
    answers = [
        office.get(f"/admin/{path}")
        for path in (
            "nowhere",
            f"orders/{Ids().new()}",
            "events/nobody/sagas",
            "events/search/sagas/x",
        )
    ]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert all("To the dashboard" in answer.text for answer in answers)


def test_a_form_of_another_site_does_nothing(office: httpx.Client, order: str) -> None:
    told = {**hidden(office.get(order), "cancel"), "sure": "on"}

    answer = office.post(f"{order}/cancel", data=told, headers={"sec-fetch-site": "same-site"})

    assert answer.status_code == 403
    assert 'class="badge good">confirmed' in office.get(order).text


def test_nothing_moves_before_somebody_is_sure(office: httpx.Client, order: str) -> None:
    asked = office.post(f"{order}/capture", data={**hidden(office.get(order), "capture")})

    assert asked.status_code == 200
    assert "are taken with sandbox" in asked.text
    assert payment(office, order)["Captured"] == "€0.00"


def test_money_is_taken_given_back_and_let_go(office: httpx.Client, order: str) -> None:
    taken = sends(office, order, "capture", amount="10")
    given = sends(office, order, "refund", amount="2,50", reason="a scratch")
    let_go = sends(office, order, "release")

    assert [answer.status_code for answer in (taken, given, let_go)] == [303] * 3
    money = payment(office, order)
    assert (money["Captured"], money["Refunded"]) == ("€10.00", "€2.50")
    page = office.get(f"{order}?done=refunded").text
    assert "The money was given back." in page
    assert "€2.50 given back" in page
    assert "a scratch" in page


def test_a_form_that_is_sent_twice_moves_money_once(office: httpx.Client, order: str) -> None:
    told = {**hidden(office.get(order), "capture"), "amount": "5", "sure": "on"}

    answers = [office.post(f"{order}/capture", data=told) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert payment(office, order)["Captured"] == "€5.00"


def test_more_than_there_is_is_explained_where_it_was_typed(
    office: httpx.Client, order: str
) -> None:
    refused = sends(office, order, "capture", amount="100000")

    assert refused.status_code == 409
    assert "at most €" in refused.text
    assert 'value="100000.00"' in refused.text


def test_what_is_no_amount_is_explained_and_kept(office: httpx.Client, order: str) -> None:
    refused = sends(office, order, "capture", amount="ten")

    assert refused.status_code == 422
    assert 'value="ten"' in refused.text
    assert 'aria-invalid="true"' in refused.text


def test_a_canceled_order_says_why_and_cannot_be_canceled_again(
    office: httpx.Client, order: str
) -> None:
    told = {**hidden(office.get(order), "cancel"), "reason": "changed <their> mind", "sure": "on"}
    canceled = office.post(f"{order}/cancel", data=told)

    page = office.get(order)

    assert canceled.headers["location"].endswith("?done=canceled")
    assert "changed &lt;their&gt; mind" in page.text
    assert "Cancel the order" not in page.text
    assert office.post(f"{order}/cancel", data=told).status_code in (303, 409)


def test_the_mail_of_an_order_is_seen_and_sent_once_more(office: httpx.Client, order: str) -> None:
    assert soon(lambda: "Mail sent" in office.get(order).text)
    page = office.get(order)
    found = re.search(rf'href="({order}/mails/[^"]+)"', page.text)
    assert found

    preview = office.get(found[1])
    body = office.get(f"{found[1]}/body")
    answer = office.post(f"{order}/resend", data=hidden(page, "resend"))

    assert preview.status_code == 200
    assert "sandbox" in body.headers["content-security-policy"]
    assert answer.headers["location"].endswith("?done=resent")


def test_a_mail_is_sent_once_more_however_often_its_form_is_sent(
    office: httpx.Client, order: str
) -> None:
    assert soon(lambda: "Mail sent" in office.get(order).text)
    told = hidden(office.get(order), "resend")

    for _ in range(2):
        answer = office.post(f"{order}/resend", data=told)
        assert answer.headers["location"].endswith("?done=resent")
        assert soon(lambda: "Mail on its way" not in office.get(order).text)

    sent = office.get("/admin/events/notifications/sagas").text
    assert len(set(re.findall(rf">({told['message']}/\d+)<", sent))) == 2


def test_money_of_another_order_is_not_moved(
    office: httpx.Client, order: str, shop: Running
) -> None:
    told = {**hidden(office.get(ordered(shop)), "capture"), "sure": "on"}

    assert office.post(f"{order}/capture", data=told).status_code == 404


def test_orders_are_found_by_number_address_state_and_day(office: httpx.Client, order: str) -> None:
    number = re.findall(r"Order #(\d+)", office.get(order).text)[0]

    def listed(query: str) -> bool:
        return order in office.get(f"/admin/orders?{query}").text

    assert listed(f"q=%23{number}")
    assert listed("q=ada@example.com&state=confirmed")
    assert not listed("q=nobody@example.com")
    assert not listed("until=2020-01-01")
    assert not listed("state=pending")


def test_a_filter_that_cannot_be_read_is_explained_and_kept(office: httpx.Client) -> None:
    answer = office.get("/admin/orders?since=yesterday&q=1")

    assert answer.status_code == 422
    assert "From: a day such as" in answer.text
    assert 'value="yesterday"' in answer.text


def test_a_long_list_goes_on_where_the_page_before_ended(office: httpx.Client, order: str) -> None:
    page = office.get("/admin/events/ordering/sagas").text
    found = re.search(r'rel="next" href="([^"]+)"', page)

    assert order.rpartition("/")[2] in page
    if found:
        assert order.rpartition("/")[2] not in office.get(unescape(found[1])).text


def test_a_dead_letter_is_shown_replayed_and_gone(office: httpx.Client, shop: Running) -> None:
    event = dead_letter(shop)
    letters = "/admin/events/search/letters"

    assert "ValueError: no such thing" in office.get("/admin/events").text
    assert str(event) in office.get(letters).text
    replayed = office.post(f"{letters}/replay", data={"event": str(event)})

    assert replayed.status_code == 303
    assert soon(lambda: "No dead letters" in office.get(letters).text)


def test_a_letter_that_is_not_named_is_not_taken_for_all_of_them(
    office: httpx.Client, shop: Running
) -> None:
    event = dead_letter(shop)
    letters = "/admin/events/search/letters"

    refused = office.post(f"{letters}/replay", data={"event": "x"})

    assert refused.status_code == 400
    assert str(event) in office.get(letters).text
    office.post(f"{letters}/discard", data={"event": str(event)})


def test_a_stuck_saga_is_shown_and_goes_back_when_told_to(
    office: httpx.Client, shop: Running
) -> None:
    stuck_saga(shop, "astray")
    there = "/admin/events/search/sagas/astray"

    assert there in office.get("/admin/events").text
    assert "The latest defect: ValueError" in office.get(there).text
    retried = office.post(f"{there}/undo")

    assert retried.headers["location"].endswith("?done=turned")
    assert soon(lambda: ">undone<" in office.get(there).text)
    assert office.post(f"{there}/retry").status_code == 409


def test_the_search_is_rebuilt_and_shows_how_far_it_is(office: httpx.Client) -> None:
    answer = office.post("/admin/events/rebuild")

    there = answer.headers["location"]
    assert there.startswith("/admin/events/search/sagas/rebuild")
    assert soon(lambda: ">done<" in office.get(there).text)
