"""A mail as it travels (RFC 5322, RFC 2045): every header is one line, whatever it is made from."""

from __future__ import annotations

import re
from binascii import b2a_qp
from email import policy
from email.header import Header
from email.headerregistry import Address, HeaderRegistry, UniqueSingleAddressHeader
from email.message import EmailMessage, MIMEPart
from email.utils import format_datetime
from functools import lru_cache
from typing import Any

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
    message = EmailMessage(spelling)
    message["From"] = _from(sender.display_name, sender.username, sender.domain)
    message["To"] = recipient
    message["Subject"] = _one_line(mail.subject)
    _add(message, "Date", format_datetime(mail.written_at))
    _add(message, "Message-ID", f"<{mail.id.hex}@{sender.domain}>")
    _add(message, "Auto-Submitted", "auto-generated")  # RFC 3834: no vacation notice shall answer.
    _add(message, "Content-Language", _one_line(mail.language))
    _add(message, "MIME-Version", "1.0")
    # No line of quoted-printable begins so (RFC 2045, 6.7).
    _add(message, "Content-Type", f'multipart/alternative; boundary="=_{mail.id.hex}"')
    message.set_payload([_part("plain", mail.text, spelling), _part("html", mail.html, spelling)])
    return message


def address_of(text: str, name: str = "") -> Address:
    """Read an address; its domain is spelled in ASCII, its local part may be in any script."""
    local, _, domain = text.rpartition("@")
    domain = domain.encode("idna").decode()
    if not (_LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain)):
        raise ValueError("This is no address.")
    return Address(_one_line(name), local, domain)


class _Line(str):
    """A header as it stands on its line: nobody need read again what was just written."""

    __slots__ = ("name",)
    name: str

    def fold(self, *, policy: policy.Policy) -> str:
        """Write the header."""
        return f"{self.name}: {self}{policy.linesep}"


def _add(part: MIMEPart, name: str, text: str) -> None:
    line = _Line(text.encode("ascii").decode())
    line.name = name
    part[name] = line


def _part(kind: str, text: str, spelling: policy.EmailPolicy[Any]) -> MIMEPart:
    part = MIMEPart(spelling)
    _add(part, "Content-Type", f'text/{kind}; charset="utf-8"')
    _add(part, "Content-Transfer-Encoding", "quoted-printable")
    part.set_payload(b2a_qp(text.encode(), istext=True).decode("ascii"))
    return part


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


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("from", _Sender)  # type: ignore[arg-type]  # the registry adds BaseHeader


@lru_cache(maxsize=1)
def _from(name: str, username: str, domain: str) -> object:
    """Make the sender's header once: it is always the same."""
    return _HEADERS("From", Address(name, username, domain))


def _one_line(text: str) -> str:
    """Refuse what could end a header, and spell every gap as one space."""
    if _CONTROL.search(text):
        raise ValueError("A header is one line.")
    return " ".join(text.split())
