"""The page on which a shopper confirms a payment, as a bank's 3-D Secure page would ask."""

from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from babel.numbers import format_currency, get_currency_precision
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.params import Body, Parameter

from banyan.plugins.sandbox.bank import Bank
from banyan.plugins.sandbox.pages import page, spoken
from banyan.plugins.sandbox.typed import BRAND_NAMES
from banyan.plugins.sandbox.values import Asked, Money, Payment
from banyan.plugins.sandbox.webhooks import Courier

# Only the bank's own id opens the page: a merchant's reference could be guessed.
PaymentId = Annotated[str, Parameter(pattern=r"\Apay_[0-9a-f]{24}\Z")]
Asking = Request[None, None, State]


class ChallengeAnswer(Asked, frozen=True, kw_only=True):
    """Which button the shopper pressed."""

    answer: Literal["confirm", "refuse"]


@get("/challenge/{payment:str}")
async def ask(bank: Bank, request: Asking, payment: PaymentId) -> Response[str]:
    """Ask the shopper, or say how the payment stands."""
    return _page(bank.payment(payment), request)


@post("/challenge/{payment:str}")
async def hear(
    bank: Bank,
    courier: Courier,
    request: Asking,
    payment: PaymentId,
    data: Annotated[ChallengeAnswer, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Take the shopper's answer and lead back to the shop."""
    answered = bank.answer_challenge(payment, confirmed=data.answer == "confirm")
    await courier.dispatch()
    if answered.return_url is None:
        return _page(answered, request)
    headers = {"location": _way_back(answered), "cache-control": "no-store"}
    return Response("", status_code=303, headers=headers)


def _page(payment: Payment, request: Asking) -> Response[str]:
    locale = spoken(request.headers.get("accept-language"))
    home = urlsplit(payment.return_url or "")
    card = payment.card
    return page(
        "challenge.html",
        locale,
        {
            "payment": payment,
            "shop": home.netloc,
            "amount": _written(payment.amount, locale),
            "card": card,
            "brand_name": BRAND_NAMES.get(card.brand, "") if card else "",
            "back": _way_back(payment),
        },
        leads_to=f"{home.scheme}://{home.netloc}" if home.netloc else "",
    )


def _written(money: Money, locale: str) -> str:
    amount = Decimal(money.amount).scaleb(-get_currency_precision(money.currency))
    return format_currency(amount, money.currency, locale=locale)


def _way_back(payment: Payment) -> str:
    """Lead to the shop, and tell it which payment this was about."""
    if payment.return_url is None:
        return ""
    parts = urlsplit(payment.return_url)
    told = [("reference", payment.reference), ("payment", payment.id)]
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *told])
    return urlunsplit(parts._replace(query=query))
