"""What Envoy is told before it starts: every kind of topology is a configuration that it takes."""

import json
import socket
from pathlib import Path

import pytest

from banyan.engines.authority import Authority
from banyan.engines.endpoints import Endpoint
from banyan.engines.envoy import EmbeddedEnvoy, validate
from banyan.engines.trouble import EngineError
from banyan.kernel.app import discover
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.topology import check, read
from tests.engines.toyshop import HOUSE

ENGINES = '[engines]\nnats = "embedded"\ngateway = "embedded"\n'
APART = f"""{ENGINES}
[process.shelf]
modules = ["catalog", "search"]
replicas = 2
[process.rest]
modules = ["*"]
channels = ["*"]
"""
KINDS = {
    "one process": ENGINES,
    "apart": APART,
    "limits": f"{APART}[gateway]\ntrusted_hops = 2\n[gateway.limits]\nrequests_per_minute = 7",
    "versions": f"""{APART}
        [gateway.canary]
        catalog = {{version = "1.2.0", weight = 5}}
        pricing = {{version = "2.0.0-rc.1+x", weight = 100}}
        [gateway.mirror]
        search = {{version = "1.3.0", percent = 50}}
        """,
    "an older system": f"""{APART}
        [[gateway.legacy]]
        prefix = "/"
        upstream = "https://old.example"
        [[gateway.legacy]]
        prefix = "/shop"
        upstream = "http://older.example:8080"
        """,
    "TLS": f'{APART}[gateway.tls]\ncertificate = "CERTIFICATE"\nkey = "KEY"',
}


def envoy(folder: Path, text: str = ENGINES, *, port: int = 8080) -> EmbeddedEnvoy:
    file = folder / "topology.toml"
    file.write_text(text)
    return EmbeddedEnvoy(folder / "gateway", HOUSE, read(file), port=port)


@pytest.mark.parametrize("text", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("collector", ["", "http://localhost:4318"], ids=["", "traced"])
def test_envoy_takes_the_configuration_of_every_kind_of_topology(
    tmp_path: Path, text: str, collector: str
) -> None:
    shown = Authority(tmp_path / "authority").certificate("shop")
    file = tmp_path / "topology.toml"
    file.write_text(
        text.replace("CERTIFICATE", str(shown.certificate)).replace("KEY", str(shown.key))
    )
    house, topology = discover(), read(file)
    names = [module.name for module in house.modules]
    telemetry = TelemetrySettings(otlp_endpoint=collector)
    shop = EmbeddedEnvoy(tmp_path, house, topology, port=8080, telemetry=telemetry)
    (tmp_path / "envoy.json").write_text(json.dumps(shop.render()))

    check(topology, modules=names, channels=[], needs={})
    shop.write_endpoints({"rest": [Endpoint(port=1), Endpoint(port=2, version="1.2.0")]})

    validate(tmp_path / "envoy.json")


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(EngineError, match=f"port {port} on 127.0.0.1 cannot be had"):
            envoy(tmp_path, port=port).child()


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    tls = f'{ENGINES}[gateway.tls]\ncertificate = "/nowhere.pem"\nkey = "/nowhere.key"'

    with pytest.raises(EngineError, match=r"cannot be configured so:\s+.*nowhere\.key"):
        envoy(tmp_path, tls, port=0).child()


def test_replicas_of_a_former_life_are_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "gateway/endpoints/monolith.json"
    envoy(tmp_path).write_endpoints({"monolith": [Endpoint(port=4711)]})
    before = file.read_text()

    envoy(tmp_path, port=0).child()

    assert "4711" in before
    assert "4711" not in file.read_text()


def test_replicas_that_were_named_before_the_start_are_asked(tmp_path: Path) -> None:
    shop = envoy(tmp_path, port=0)
    shop.write_endpoints({"monolith": [Endpoint(port=4711)]})

    shop.child()

    assert "4711" in (tmp_path / "gateway/endpoints/monolith.json").read_text()


def test_the_files_hold_each_replica_in_the_pool_of_its_version(tmp_path: Path) -> None:
    text = f"""{ENGINES}
    [gateway.canary]
    toys = {{version = "2", weight = 5}}
    [gateway.mirror]
    boxes = {{version = "3", percent = 5}}
    """
    found = [Endpoint(port=number, version=str(number)) for number in (1, 2, 3)]

    envoy(tmp_path, text).write_endpoints({"monolith": found})

    files = sorted((tmp_path / "gateway/endpoints").glob("*"))
    assert {file.stem: ports(file) for file in files} == {
        "monolith": [[1], [2]],
        "monolith@2": [[2], [1]],
        "monolith@3": [[3]],
    }


def ports(file: Path) -> list[list[int]]:
    """Read who is asked, and who is when those are gone."""
    (assignment,) = json.loads(file.read_text())["resources"]
    return [
        [one["endpoint"]["address"]["socket_address"]["port_value"] for one in tier["lb_endpoints"]]
        for tier in assignment["endpoints"]
    ]
