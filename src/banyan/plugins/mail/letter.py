"""A mail as it travels (RFC 5322): every header is one line, whatever it is made from."""

from __future__ import annotations

import re
from email import policy
from email.header import Header
from email.headerregistry import (
    Address,
    BaseHeader,
    HeaderRegistry,
    UniqueSingleAddressHeader,
)
from email.message import EmailMessage
from functools import cache

from banyan.modules.notifications.ports import Mail

_ATOM = r"[\w!#$%&'*+/=?^`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.ASCII | re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9 ]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def compose(mail: Mail, sender: Address) -> EmailMessage:
    """Write a mail with its HTML and its twin in plain text; ValueError if that cannot be done."""
    recipient = address_of(mail.recipient)
    spelling = policy.SMTP if recipient.addr_spec.isascii() else policy.SMTPUTF8
    message = EmailMessage(spelling.clone(header_factory=_HEADERS))
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = _one_line(mail.subject)
    message["Date"] = mail.written_at
    message["Message-ID"] = f"<{mail.id.hex}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice shall answer.
    message.set_content(mail.text, cte="quoted-printable")
    # No line of quoted-printable begins so (RFC 2045, 6.7): nobody need look for it in the text.
    message.make_alternative(boundary=f"=_{mail.id.hex}")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = _one_line(mail.language)
    return message


def address_of(text: str, name: str = "") -> Address:
    """Read an address; its domain is spelled in ASCII, its local part may be in any script."""
    local, _, domain = text.rpartition("@")
    domain = domain.encode("idna").decode()
    if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise ValueError("This is no address.")
    return Address(_one_line(name), local, domain)


class _Sender(UniqueSingleAddressHeader):
    """Whom a mail is from. A name that is not plain words travels in encoded words (RFC 2047).

    Python quotes such a name, and loses the quotes where it folds the line.
    """

    name: str

    def fold(self, *, policy: policy.Policy) -> str:
        """Write the header, in as many lines as it needs."""
        (sender,) = self.addresses
        written = Header(header_name=self.name)
        if name := sender.display_name:
            written.append(name, "us-ascii" if _PLAIN.fullmatch(name) else "utf-8")
        written.append(f"<{sender.addr_spec}>")
        return f"{self.name}: {written.encode(linesep=policy.linesep)}{policy.linesep}"


class _Headers(HeaderRegistry):
    """What the headers are made of; Python makes such a class anew for each header."""

    @cache  # noqa: B019 - there is one for good
    def __getitem__(self, name: str) -> type[BaseHeader]:
        return super().__getitem__(name)


_HEADERS = _Headers()
_HEADERS.map_to_type("from", _Sender)  # type: ignore[arg-type]  # the registry adds BaseHeader


def _one_line(text: str) -> str:
    """Refuse what could end a header, and spell every gap as one space."""
    if _CONTROL.search(text):
        raise ValueError("A header is one line.")
    return " ".join(text.split())
