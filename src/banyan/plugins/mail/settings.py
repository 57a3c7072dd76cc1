"""How mail leaves the house."""

from __future__ import annotations

from email.headerregistry import Address
from typing import Annotated, Literal

from msgspec import Meta

from banyan.kernel.settings import Secret, Settings
from banyan.plugins.mail.letter import address_of


class MailSettings(Settings, frozen=True, kw_only=True):
    """The mail server, and in whose name it is asked; without a host, mail goes into a folder.

    `security` says how the connection is encrypted: from its beginning (`tls`, usually port 465),
    after a greeting (`starttls`, 587) or, for a relay on the same machine, not at all (`none`).
    """

    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret = Secret("")
    sender: str = "shop@localhost"
    sender_name: str = ""
    # A step of a saga, of which this is one, has six seconds.
    timeout_seconds: Annotated[float, Meta(gt=0, le=5)] = 5.0

    def __post_init__(self) -> None:
        if self.user and self.security == "none":
            raise ValueError("security: `none` would show the password to everybody.")
        try:
            self.sender_address().addr_spec.encode("ascii")
        except ValueError:
            raise ValueError("sender: must be an address such as shop@example.com.") from None

    def sender_address(self) -> Address:
        """Tell where mail comes from."""
        return address_of(self.sender, self.sender_name)
