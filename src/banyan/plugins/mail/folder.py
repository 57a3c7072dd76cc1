"""A folder into which mail goes while there is no mail server."""

from __future__ import annotations

import asyncio
import os
import secrets
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID


class MailFolder:
    """Keeps each mail as a file that mail programs open; the same mail again is the same file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def carry(self, mail: UUID, message: EmailMessage) -> None:
        """Keep a mail; it appears at once with its whole content, or not at all."""
        await asyncio.to_thread(self._keep, f"{mail}.eml", message.as_bytes())

    def _keep(self, name: str, content: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.folder / f".{name}.{secrets.token_hex(8)}"
        try:
            with open(draft, "xb", opener=_private) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / name)
        finally:
            draft.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read: it holds addresses."""
    return os.open(path, flags, 0o600)
