"""The tables of the gateway: typed, about what is there, and refused with what to change."""

from collections.abc import Callable
from pathlib import Path

import pytest

from banyan.kernel.entrance import Canary, Gateway, Legacy, Limits, Mirror, Tls
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import Topology, check, read

MODULES = {"catalog", "ordering", "search"}

Told = Callable[[str], Topology]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """Read a topology from the text of its file."""

    def reading(text: str) -> Topology:
        file = tmp_path / "topology.toml"
        file.write_text(text, encoding="utf-8")
        return read(file)

    return reading


def accepted(topology: Topology) -> Topology:
    check(topology, modules=MODULES, channels=(), needs={})
    return topology


def complaints(topology: Topology) -> str:
    with pytest.raises(Misconfigured) as refused:
        accepted(topology)
    return str(refused.value)


GATEWAY = """
[engines]
nats = "embedded"
gateway = "embedded"
[gateway]
trusted_hops = 1
[gateway.limits]
burst = 20
[gateway.tls]
certificate = "shop.pem"
key = "shop.key"
[gateway.canary]
catalog = {version = "1.2.0", weight = 5}
[gateway.mirror]
search = {version = "1.3.0", percent = 10}
[[gateway.legacy]]
prefix = "/shop"
upstream = "http://old.example:8080"
"""


def test_a_gateway_is_told_its_rules_table_by_table(told: Told) -> None:
    topology = accepted(told(GATEWAY))

    assert topology.gateway == Gateway(
        trusted_hops=1,
        limits=Limits(requests_per_minute=600, burst=20),
        tls=Tls(certificate="shop.pem", key="shop.key"),
        canary={"catalog": Canary(version="1.2.0", weight=5)},
        mirror={"search": Mirror(version="1.3.0", percent=10)},
        legacy=(Legacy(prefix="/shop", upstream="http://old.example:8080"),),
    )


@pytest.mark.parametrize(
    ("text", "proxies"), [("", 0), ("[gateway]\ntrusted_hops = 2", 2), (GATEWAY, 2)]
)
def test_a_gateway_is_a_proxy_that_is_trusted(told: Told, text: str, proxies: int) -> None:
    assert accepted(told(text)).proxies == proxies


def test_limits_hold_without_a_gateway_and_only_if_they_are_asked_for(told: Told) -> None:
    limited = accepted(told("[gateway.limits]"))

    assert limited.gateway.limits == Limits()
    assert told("[gateway]").gateway.limits is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[engines]\ngateway = 'far'", '[engines] gateway: is not "embedded"'),
        ("gateway = 5", "[gateway] must be a table"),
        ("[gateway]\nlimit = 5", "[gateway] limit: there is no setting 'limit'; did you mean"),
        ("[gateway.limits]\nburts = 5", "[gateway.limits] burts: there is no setting 'burts'; did"),
        ("[gateway.limits]\nburst = 0", "[gateway.limits] burst: Expected `int` >= 1"),
        ("[gateway.tls]\nkey = 'k'", "[gateway.tls] certificate: needs a value"),
        ("[gateway]\ncanary = 5", "[gateway.canary] must hold tables, such as [gateway.canary."),
        ("[gateway.canary]\ncatalog = 5", "[gateway.canary.catalog] must be a table"),
        (
            "[gateway.canary]\ncatalog = {version = '1', weight = 101}",
            "[gateway.canary.catalog] weight: Expected `int` <= 100",
        ),
        (
            "[gateway.mirror]\ncatalog = {version = '../1', percent = 1}",
            "[gateway.mirror.catalog] version: Expected `str` matching regex",
        ),
        ("[gateway.legacy]\nprefix = '/a'", "must be written as [[gateway.legacy]]"),
        (
            "[[gateway.legacy]]\nprefix = 'shop'\nupstream = 'http://old'",
            "[gateway.legacy] prefix: 'shop' is not a path",
        ),
        (
            "[[gateway.legacy]]\nprefix = '/shop'\nupstream = 'old:80'",
            "[gateway.legacy] upstream: 'old:80' is not an address",
        ),
    ],
)
def test_rules_that_say_nothing_useful_are_refused_by_the_place(
    told: Told, text: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        told(text)

    assert complaint in str(refused.value)


def test_rules_about_what_is_not_there_are_refused(told: Told) -> None:
    misspelt = GATEWAY.replace("catalog", "catalgo").replace("search", "saerch")

    complaint = complaints(told(misspelt))

    assert "[gateway.canary] there is no module 'catalgo'; did you mean 'catalog'?" in complaint
    assert "[gateway.mirror] there is no module 'saerch'; did you mean 'search'?" in complaint


def test_rules_for_a_gateway_need_one(told: Told) -> None:
    complaint = complaints(told(GATEWAY.replace('gateway = "embedded"', "")))

    for name in ("tls", "canary", "mirror", "legacy"):
        assert f'[gateway.{name}] needs a gateway: write gateway = "embedded"' in complaint


def test_the_replicas_of_a_process_have_one_version_to_be_tried(told: Told) -> None:
    topology = told(
        """
        [engines]
        gateway = "embedded"
        [gateway.canary]
        catalog = {version = "2", weight = 5}
        search = {version = "3", weight = 5}
        [gateway.mirror]
        ordering = {version = "2", percent = 5}
        """
    )

    refused = complaints(topology)

    assert "[gateway.canary] names 2 and 3 for modules of [process.monolith]: choose one" in refused
    assert "[gateway.mirror] 2 of [process.monolith] is its canary, too" in refused


@pytest.mark.parametrize(
    ("prefix", "complaint"),
    [
        ("/shop", "prefix '/shop' is given twice"),
        ("/api", "prefix '/api' lies in /api, ours"),
        ("/api/old", "prefix '/api/old' lies in /api, ours"),
        ("/metrics", "prefix '/metrics' lies in /metrics, ours"),
    ],
)
def test_an_older_system_gets_only_paths_that_are_free(
    told: Told, prefix: str, complaint: str
) -> None:
    another = f'[[gateway.legacy]]\nprefix = "{prefix}"\nupstream = "http://old"'

    assert complaint in complaints(told(f"{GATEWAY}{another}"))


@pytest.mark.parametrize("prefix", ["/", "/apis", "/shop/old"])
def test_what_is_not_ours_may_be_an_older_system_s(told: Told, prefix: str) -> None:
    another = f'[[gateway.legacy]]\nprefix = "{prefix}"\nupstream = "http://old"'

    topology = accepted(told(f"{GATEWAY}{another}"))

    assert [one.prefix for one in topology.gateway.legacy] == ["/shop", prefix]
