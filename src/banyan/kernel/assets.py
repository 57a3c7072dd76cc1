"""The files that pages are shown with: styles and scripts, under addresses that last."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

from litestar import Request, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from banyan.kernel.answer import Answer
from banyan.kernel.refusal import NotFound

_MEDIA_TYPES = {
    "css": "text/css",
    "ico": "image/x-icon",
    "js": "text/javascript",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "woff2": "font/woff2",
}
_FOREVER = "public, max-age=31536000, immutable"
_HASH_LENGTH = 12


class _File(NamedTuple):
    """A file as it is sent."""

    body: bytes
    packed: bytes
    version: str
    media_type: str


class Assets:
    """Some files by name, each at an address that changes with its content.

    So a browser asks for each only once. Whoever asks for another version, while replicas of two
    releases are at work, gets the file that is here, and keeps it for that once.
    """

    def __init__(self, prefix: str, files: Mapping[str, Traversable]) -> None:
        self._prefix = prefix
        self._files = {name: _read(name, file) for name, file in files.items()}

    def url(self, name: str) -> str:
        """Tell the address of a file; a name that is not there is a fault."""
        return f"{self._prefix}/{self._files[name].version}/{name}"

    def route(self) -> HTTPRouteHandler:
        """Make the handler that serves the files."""

        @get(f"{self._prefix}/{{version:str}}/{{name:str}}", include_in_schema=False)
        async def show_asset(
            version: FromPath[str], name: FromPath[str], request: Request[Any, Any, Any]
        ) -> Answer[bytes]:
            found = self._files.get(name)
            if found is None:
                raise NotFound
            packs = "gzip" in request.headers.get("accept-encoding", "")
            said = {
                "cache-control": _FOREVER if version == found.version else "no-store",
                "vary": "Accept-Encoding",
            }
            return Answer(
                found.packed if packs else found.body,
                media_type=found.media_type,
                headers=said | ({"content-encoding": "gzip"} if packs else {}),
            )

        return show_asset


def folder(of: Traversable) -> dict[str, Traversable]:
    """List the files of a folder by name."""
    return {file.name: file for file in of.iterdir() if file.is_file()}


def _read(name: str, file: Traversable) -> _File:
    body = file.read_bytes()
    version = hashlib.blake2s(body).hexdigest()[:_HASH_LENGTH]
    media_type: Any = _MEDIA_TYPES[name.rpartition(".")[2]]
    return _File(body, gzip.compress(body, mtime=0), version, media_type)
