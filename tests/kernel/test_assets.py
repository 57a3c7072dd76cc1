"""A file of a page lies at an address of its content: kept for ever, and never stale."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient, create_test_client

from banyan.kernel.assets import Assets, folder

Client = TestClient[Litestar]

STYLE = "body { color: teal }" * 50


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    (tmp_path / "style.css").write_text(STYLE)
    (tmp_path / "logo.svg").write_text("<svg/>")
    (tmp_path / "drafts").mkdir()
    return Assets("/files", folder(tmp_path))


@pytest.fixture
def client(assets: Assets) -> Iterator[Client]:
    with create_test_client([assets.route()]) as client:
        yield client


def test_a_file_is_kept_for_ever_at_its_address(assets: Assets, client: Client) -> None:
    style = client.get(assets.url("style.css"), headers={"accept-encoding": "identity"})

    assert style.text == STYLE
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert style.headers["cache-control"] == "public, max-age=31536000, immutable"


def test_another_content_has_another_address(tmp_path: Path, assets: Assets) -> None:
    before = assets.url("style.css"), assets.url("logo.svg")

    (tmp_path / "style.css").write_text("body { color: plum }")
    after = Assets("/files", folder(tmp_path))

    assert after.url("style.css") != before[0]
    assert after.url("logo.svg") == before[1]


def test_another_version_is_answered_and_not_kept(client: Client) -> None:
    style = client.get("/files/0123456789ab/style.css")

    assert style.text == STYLE
    assert style.headers["cache-control"] == "no-store"


def test_a_file_travels_packed_to_those_who_can_unpack_it(assets: Assets, client: Client) -> None:
    with client.stream("GET", assets.url("style.css")) as packed:
        sent = b"".join(packed.iter_raw())

    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(sent).decode() == STYLE


def test_what_is_no_file_is_not_there(assets: Assets, client: Client) -> None:
    with pytest.raises(KeyError):
        assets.url("drafts")
    assert client.get("/files/0123456789ab/secrets.css").status_code >= 400
