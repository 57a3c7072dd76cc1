"""Who is calling and what they may do, what proves a message, and what must not be shown."""

import base64
import binascii
import hashlib
import hmac
import math
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import msgspec

from banyan.kernel.clock import Clock, SystemClock
from banyan.kernel.contract import Problem, Value
from banyan.kernel.settings import Misconfigured, Secret

SESSION_SECONDS = 12 * 3600
"""How long somebody who signed in stays so."""

_TOKEN_FILE = "admin-token"  # noqa: S105 - its name, not its content
_TOKEN_PREFIX = "bny_"  # noqa: S105 - so that scanners of leaked secrets know ours
_SESSION_PREFIX = "bns_"
_WEBHOOK_PREFIX = "whsec_"
_WEBHOOK_SKEW_SECONDS = 300

_CARD_DIGITS = range(13, 20)  # ISO/IEC 7812-1, as the card schemes issue them
_SEPARATORS = r"[ \u00a0\u2010-\u2015-]{1,2}"
# An id is matched first, so that no card is seen across its hyphens.
_ID_OR_DIGITS = re.compile(
    rf"[0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}|(?P<digits>\d+(?:{_SEPARATORS}\d+)*)",
    re.IGNORECASE,
)

_LONGEST_SHOWN = 8192
_PRIVATE_NAMES = frozenset(
    [
        *("authorization", "token", "tokens", "secret", "secrets", "apikey", "cookie", "cookies"),
        *("password", "passwords", "passwd", "signature", "card", "cards", "pan", "cvc", "cvv"),
        *("email", "emails", "phone", "phones", "address", "addresses", "iban", "birthday"),
        *("firstname", "lastname", "fullname"),
    ]
)
# Most texts are harmless, and one look tells.
_SUSPICIOUS = re.compile(r"@|bearer|basic|bny_|bns_|whsec_|eyJ|\d(?:\D{0,2}\d){12}", re.IGNORECASE)
_PRIVATE_TEXTS = (
    (re.compile(r"://[^/\s@]+@"), "://[private]@"),
    (re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"), "[email]"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 [private]"),
    (re.compile(r"\b(bny_|bns_|whsec_|eyJ)[\w.+/=-]+"), r"\1[private]"),
)


class Caller(Value):
    """Somebody or something that asks, and what they were granted."""

    subject: str
    permissions: frozenset[str] = frozenset()

    @classmethod
    def anonymous(cls) -> Self:
        """Speak of somebody of whom nothing is known and who was granted nothing."""
        return cls(subject="anonymous")

    def may(self, permission: str) -> bool:
        """Tell whether a grant covers this: `catalog:write`, or `catalog:*`, or `*`."""
        words = permission.split(":")
        wider = (":".join([*words[:depth], "*"]) for depth in range(len(words)))
        return permission in self.permissions or any(grant in self.permissions for grant in wider)


class Credentials(Value):
    """What a program shows to be believed, and the authority that it believes: PEM files."""

    ca: Path
    certificate: Path
    key: Path


class Gate(Protocol):
    """Knows callers by their tokens: the one place where full identity plugs in."""

    async def caller(self, token: str) -> Caller | None:
        """Tell who holds this token, or was given this session; None when nobody may."""
        ...

    async def session(self, token: str) -> Secret | None:  # noqa: ARG002 - not every gate has any
        """Open a session for the holder of a token, which a browser keeps instead; maybe none."""
        return None


class TokenGate(Gate):
    """A gate with a single key, whose holder may do everything.

    A session says when it ends, and is signed with what is known of the key: so every replica
    knows it, it is over when the key is replaced, and the key itself is kept in no browser.
    """

    def __init__(self, token_hash: str, *, clock: Clock | None = None) -> None:
        """Remember what `fingerprint` says of the token, not the token."""
        self._token_hash = token_hash
        self._clock = clock or SystemClock()
        self._holder = Caller(subject="admin", permissions=frozenset({"*"}))

    async def caller(self, token: str) -> Caller | None:
        """Let the holder in, taking as long for a near miss as for a far one."""
        if token.startswith(_SESSION_PREFIX):
            return self._holder if self._lasts(token) else None
        return self._holder if self._fits(token) else None

    async def session(self, token: str) -> Secret | None:
        """Open a session of twelve hours."""
        if not self._fits(token):
            return None
        return self._signed(int(self._clock.now().timestamp()) + SESSION_SECONDS)

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(fingerprint(token), self._token_hash)

    def _lasts(self, session: str) -> bool:
        until = session.removeprefix(_SESSION_PREFIX).partition(".")[0]
        if not re.fullmatch(r"[0-9]{1,12}", until) or not session.isascii():
            return False
        genuine = hmac.compare_digest(self._signed(int(until)).reveal(), session)
        return genuine and self._clock.now().timestamp() < int(until)

    def _signed(self, until: int) -> Secret:
        seal = hmac.digest(self._token_hash.encode(), f"session until {until}".encode(), "sha256")
        # Without padding: a cookie with "=" in it is quoted by some, and the quotes come back.
        signature = base64.urlsafe_b64encode(seal).decode().rstrip("=")
        return Secret(f"{_SESSION_PREFIX}{until}.{signature}")


def fingerprint(token: str) -> str:
    """Hash a token for keeping; plain SHA-256 will do, as 256 bits of chance are not guessed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def admin_token(folder: Path) -> Secret:
    """Read the administrator's token from its file, or make both."""
    return kept_secret(folder, _TOKEN_FILE)


def kept_secret(folder: Path, name: str) -> Secret:
    """Read a secret from its file, or make both.

    Processes that start together agree: the file appears at once with its content, or not at all.
    """
    file = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _write_once(file, _TOKEN_PREFIX + secrets.token_urlsafe(32))
    if file.stat().st_mode & 0o077:
        raise Misconfigured(f"{file} can be read by others: delete it, and a new one is made.")
    token = file.read_text(errors="replace").strip()
    if not token.startswith(_TOKEN_PREFIX):
        raise Misconfigured(f"{file} holds no token: delete it, and a new one is made.")
    return Secret(token)


def _write_once(file: Path, text: str) -> None:
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        with open(draft, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as sheet:
            sheet.write(text)
        file.hardlink_to(draft)
    except FileExistsError:
        pass  # Another process was first, and its token is as good.
    finally:
        draft.unlink(missing_ok=True)


class UnverifiedWebhook(Problem, status=401):
    """The message does not prove that it comes from whom it claims."""

    reason: Literal["incomplete", "outdated", "forged"]


def webhook_secret() -> Secret:
    """Make a secret to share with one partner, as Standard Webhooks spells it."""
    return Secret(_WEBHOOK_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())


def sign(secret: Secret, *, webhook: str, sent: datetime, body: bytes) -> dict[str, str]:
    """Make the headers by which the receiver knows that a message is ours and unchanged.

    `webhook` is the id of the message, the same in every attempt to deliver it (Standard Webhooks).
    """
    seconds = str(int(sent.timestamp()))
    return {
        "webhook-id": webhook,
        "webhook-timestamp": seconds,
        "webhook-signature": f"v1,{_signature(secret, webhook, seconds, body)}",
    }


def verify(
    accepted: Iterable[Secret], headers: Mapping[str, str], body: bytes, *, now: datetime
) -> str:
    """Check a message against each accepted secret and return its id, by which it is deduplicated.

    There are several secrets, and several signatures in the header, while a secret is replaced.
    """
    told = {name.lower(): value for name, value in headers.items()}
    webhook, seconds = told.get("webhook-id", ""), told.get("webhook-timestamp", "")
    claims = [
        signature.encode("utf-8", "surrogatepass")
        for version, _, signature in (c.partition(",") for c in _claims(told))
        if version == "v1"
    ]
    if not (webhook and claims and re.fullmatch(r"[0-9]{1,12}", seconds)):
        raise UnverifiedWebhook(reason="incomplete")
    genuine = False
    for secret in accepted:
        ours = _signature(secret, webhook, seconds, body).encode()
        for claim in claims:
            genuine |= hmac.compare_digest(ours, claim)
    if not genuine:
        raise UnverifiedWebhook(reason="forged")
    # Only a genuine message learns that it is late.
    if abs(now.timestamp() - int(seconds)) > _WEBHOOK_SKEW_SECONDS:
        raise UnverifiedWebhook(reason="outdated")
    return webhook


def _claims(told: Mapping[str, str]) -> list[str]:
    return told.get("webhook-signature", "").split()


def _signature(secret: Secret, webhook: str, seconds: str, body: bytes) -> str:
    signed = f"{webhook}.{seconds}.".encode("utf-8", "surrogatepass") + body
    return base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()


def _key(secret: Secret) -> bytes:
    try:
        key = base64.b64decode(secret.reveal().removeprefix(_WEBHOOK_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise Misconfigured("A webhook secret reads whsec_… with base64 after the underscore.")
    return key


def looks_like_card_number(text: str) -> bool:
    """Tell whether a card number may stand in a text, so that the text can be refused (PCI DSS 3).

    That is 13 to 19 digits, in groups or not, whose last one checks the others (Luhn). One number
    in ten that is no card passes for one: ask this of free text, not of ids.
    """
    return any(True for _ in _cards(text))


def without_card_numbers(text: str) -> str:
    """Black out everything in a text that may be a card number."""
    for start, end in reversed(list(_cards(text))):
        text = f"{text[:start]}[card]{text[end:]}"
    return text


def _cards(text: str) -> Iterator[tuple[int, int]]:
    """Find where cards may stand: each the longest from its first group of digits on."""
    for found in _ID_OR_DIGITS.finditer(text):
        if found["digits"] is None:
            continue
        groups = [(g.start(), g.end()) for g in re.finditer(r"\d+", found["digits"])]
        free = 0
        for first, (start, _) in enumerate(groups):
            if start < free:
                continue
            for _, end in reversed(groups[first : first + _CARD_DIGITS.stop]):
                digits = re.sub(r"\D", "", found["digits"][start:end])
                if len(digits) in _CARD_DIGITS and _checks(digits):
                    yield found.start() + start, found.start() + end
                    free = end
                    break


def _checks(digits: str) -> bool:
    """Check digits by Luhn's formula: every second one, from the right, counts twice."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(doubled) + sum(int(digit) for digit in digits[::-2])) % 10 == 0


def discreet(name: str, told: Any) -> Any:
    """Make what is told under a name safe to show: no secret, no card number, nobody's address.

    What comes back consists of text, numbers, lists and dictionaries only.
    """
    match told:
        case None | bool():
            shown: Any = told
        case float():
            shown = told if math.isfinite(told) else str(told)
        case _ if _is_private(name):
            shown = "[private]"
        case str():
            shown = _discreet_text(told)
        case int():
            shown = "[card]" if looks_like_card_number(str(told)) else told
        case Mapping():
            shown = {_discreet_text(str(k)): discreet(str(k), value) for k, value in told.items()}
        case list() | tuple() | set() | frozenset():
            shown = [discreet("", value) for value in told]
        case msgspec.Struct():
            shown = discreet("", msgspec.structs.asdict(told))
        case _:
            shown = _discreet_text(str(told))
    return shown


def _discreet_text(text: str) -> str:
    if len(text) > _LONGEST_SHOWN:
        # A traceback says most at its end.
        text = f"{text[: _LONGEST_SHOWN // 4]} … {text[-_LONGEST_SHOWN * 3 // 4 :]}"
    if not _SUSPICIOUS.search(text):
        return text
    for pattern, instead in _PRIVATE_TEXTS:
        text = pattern.sub(instead, text)
    return without_card_numbers(text)


@lru_cache(maxsize=4096)
def _is_private(name: str) -> bool:
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]
    pairs = [one + next_one for one, next_one in pairwise(words)]
    return not _PRIVATE_NAMES.isdisjoint(words + pairs)
