"""The way of mail out of the house, named `mail`."""

from __future__ import annotations

from banyan.kernel.module import Plugin
from banyan.modules.notifications.ports import Mailer
from banyan.plugins.mail.carrier import MailCarrier

plugin = Plugin(name="mail", fills={Mailer: MailCarrier})
