"""Paths lead to the process that hosts what they belong to, as the parts declare it."""

import re
from pathlib import Path

import pytest
from litestar import get

from banyan.engines.routing import Face, Way, faces, paths, rest, routes, ways
from banyan.kernel.app import discover
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import Topology, read
from tests.engines.toyshop import HOUSE, Pictures, Toys

APART = """
[engines]
nats = "embedded"
gateway = "embedded"
[process.shelf]
modules = ["toys"]
[process.works]
modules = ["parts"]
[process.desk]
modules = ["*"]
channels = ["*"]
"""


def topology(tmp_path: Path, more: str = "", text: str = APART) -> Topology:
    file = tmp_path / "topology.toml"
    file.write_text(text + more)
    return read(file)


def leads(found: list[Way], path: str) -> str:
    """Take the first way that fits a path, as Envoy does, and tell the pool at its end."""
    for way in found:
        match way.match:
            case {"prefix": prefix} if path.startswith(prefix):
                return way.pool
            case {"path": exact} if path == exact:
                return way.pool
            case {"path_separated_prefix": prefix} if f"{path}/".startswith(f"{prefix}/"):
                return way.pool
            case {"safe_regex": {"regex": regex}} if re.fullmatch(regex, path):
                return way.pool
    raise AssertionError(f"no way leads to {path}")


def test_paths_are_read_from_controllers_and_handlers() -> None:
    @get(["/", "/alone/{one:int}"])
    async def alone(one: int) -> int:
        return one

    assert paths([Toys]) == ("/api/store/toys", "/api/store/toys/{toy:str}")
    assert paths([Pictures, alone]) == ("/", "/alone/{one:int}", "/media/{file:str}")


@pytest.mark.parametrize(
    ("path", "pool"),
    [
        ("/api/store/toys", "shelf"),
        ("/api/store/toys/", "shelf"),
        ("/api/store/toys/train", "shelf"),
        ("/api/store/toys/train/parts/wheel", "works"),
        ("/api/store/toys/train/parts/wheel/left", "works"),
        ("/api/admin/toys/train", "shelf"),
        ("/api/store/toysets", "desk"),
        ("/api/store/boxes/b/lines/1", "desk"),
        ("/media/train.png", "desk"),
        ("/docs", "desk"),
        ("/nowhere", "desk"),
        ("/", "desk"),
    ],
)
def test_a_path_leads_to_the_process_of_its_module(tmp_path: Path, path: str, pool: str) -> None:
    apart = topology(tmp_path)

    assert leads(ways(faces(HOUSE, apart), apart), path) == pool


def test_an_older_system_gets_what_is_left_and_nothing_of_ours(tmp_path: Path) -> None:
    old = """
    [[gateway.legacy]]
    prefix = "/"
    upstream = "http://old"
    [[gateway.legacy]]
    prefix = "/shop"
    upstream = "http://older"
    """
    apart = topology(tmp_path, old)
    found = ways(faces(HOUSE, apart), apart)

    assert leads(found, "/shop/hat") == "legacy /shop"
    assert leads(found, "/shopping") == "legacy /"
    assert leads(found, "/") == "legacy /"
    assert leads(found, "/api/unknown") == "desk"
    assert leads(found, "/api/store/toys") == "shelf"


def test_every_path_of_the_real_house_leads_to_its_module(tmp_path: Path) -> None:
    house = discover()
    names = sorted(module.name for module in house.modules)
    each = "".join(f'[process.p-{name}]\nmodules = ["{name}"]\n' for name in names)
    apart = topology(tmp_path, text=f'[engines]\nnats = "embedded"\n{each}')
    found = ways(faces(house, apart), apart)

    for module in house.modules:
        for path in paths(module.routes):
            asked = re.sub(r"\{.*?\}", "any", path)
            assert leads(found, asked) == f"p-{module.name}", asked


def test_a_plugin_is_shown_where_the_module_is_whose_port_it_fills(tmp_path: Path) -> None:
    house = discover()
    text = '[process.bank]\nmodules = ["payments"]\n[process.rest]\nmodules = ["*"]'

    shown = faces(house, topology(tmp_path, text=text))

    at = {face.part: face.process for face in shown}
    assert (at["sandbox"], at["payments"]) == ("bank", "bank")
    assert (at["demo"], at["catalog"]) == ("rest", "rest")


def test_without_a_star_the_first_process_answers_for_the_rest(tmp_path: Path) -> None:
    assert rest(topology(tmp_path)) == "desk"
    assert rest(topology(tmp_path, text='[process.a]\nmodules = ["toys"]')) == "a"


def test_only_what_may_be_done_twice_is_tried_again_once_it_was_heard(tmp_path: Path) -> None:
    (way,) = [w for w in ways([], topology(tmp_path)) if w.name == "/docs"]

    spelled = routes([way], seconds=10)

    heard = ["reset," in route["route"]["retry_policy"]["retry_on"] for route in spelled]
    assert heard == [True, True, True, False]
    assert [[h["name"] for h in route["match"]["headers"]] for route in spelled] == [
        [":method"],
        [":method"],
        [":method", "idempotency-key"],
        [],
    ]


def test_an_older_system_is_not_trusted_with_a_key(tmp_path: Path) -> None:
    old = '[[gateway.legacy]]\nprefix = "/shop"\nupstream = "http://old"'
    (way,) = [w for w in ways([], topology(tmp_path, old)) if w.legacy]

    spelled = routes([way], seconds=10)

    assert [len(route["match"]["headers"]) for route in spelled] == [1, 1, 0]


def test_a_path_that_two_processes_answer_is_refused(tmp_path: Path) -> None:
    apart = topology(tmp_path)
    shown = [Face(process=name, part=name, paths=("/a/{b}",)) for name in ("shelf", "desk")]

    with pytest.raises(
        Misconfigured, match=r"/a/\{b\} is answered by shelf in \[process.shelf\] and"
    ):
        ways(shown, apart)
