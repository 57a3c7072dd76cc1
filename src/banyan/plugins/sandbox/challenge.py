"""The page on which a shopper confirms a payment, as a bank's 3-D Secure page would ask."""

from decimal import Decimal
from html import escape
from typing import Annotated, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from babel.numbers import format_currency, get_currency_precision
from litestar import MediaType, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, Parameter

from banyan.plugins.sandbox.bank import Bank
from banyan.plugins.sandbox.values import Asked, Money, Payment
from banyan.plugins.sandbox.webhooks import Courier

# Only the bank's own id opens the page: a merchant's reference could be guessed.
PaymentId = Annotated[str, Parameter(pattern=r"\Apay_[0-9a-f]{24}\Z")]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 28rem; margin: 4rem auto }}
main {{ padding: 0 1rem }}
button {{ font: inherit; padding: .5rem 1.25rem; margin-right: .5rem }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{text}
</main>
</body>
</html>
"""

QUESTION = """<p>Do you want to pay <strong>{amount}</strong> for <em>{reference}</em>?</p>
<form method="post">
<button name="answer" value="confirm">Confirm</button>
<button name="answer" value="refuse">Refuse</button>
</form>"""


class ChallengeAnswer(Asked, frozen=True, kw_only=True):
    """Which button the shopper pressed."""

    answer: Literal["confirm", "refuse"]


@get("/challenge/{payment:str}")
async def ask(bank: Bank, payment: PaymentId) -> Response[str]:
    """Ask the shopper, or say how the payment stands."""
    return _page(bank.payment(payment))


@post("/challenge/{payment:str}")
async def hear(
    bank: Bank,
    courier: Courier,
    payment: PaymentId,
    data: Annotated[ChallengeAnswer, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[str]:
    """Take the shopper's answer and lead back to the shop."""
    answered = bank.answer_challenge(payment, confirmed=data.answer == "confirm")
    await courier.dispatch()
    if answered.return_url is None:
        return _page(answered)
    there = _with_query(answered.return_url, reference=answered.reference, payment=answered.id)
    return Response("", status_code=303, headers={"location": there, "cache-control": "no-store"})


def _page(payment: Payment) -> Response[str]:
    if payment.status == "requires_action":
        title = "Confirm your payment"
        text = QUESTION.format(
            amount=escape(_written(payment.amount)), reference=escape(payment.reference)
        )
    else:
        title = "Nothing to confirm"
        text = f"<p>This payment is {payment.status}. You can close this page.</p>"
    # Browsers hold a form's redirect against `form-action` too, so the shop's address is in it.
    home = urlsplit(payment.return_url or "")
    back = f" {home.scheme}://{home.netloc}" if home.netloc else ""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
        f" frame-ancestors 'none'; form-action 'self'{back}"
    )
    return Response(
        PAGE.format(title=title, text=text),
        status_code=200,
        media_type=MediaType.HTML,
        headers={"content-security-policy": policy, "cache-control": "no-store"},
    )


def _written(money: Money) -> str:
    amount = Decimal(money.amount).scaleb(-get_currency_precision(money.currency))
    return format_currency(amount, money.currency, locale="en")


def _with_query(url: str, **words: str) -> str:
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *words.items()])
    return urlunsplit(parts._replace(query=query))
