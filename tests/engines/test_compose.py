"""A Compose project is valid, leaves gaps for secrets, and its engines take their files."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from compose_spec import PyCompose

from banyan.engines import compose, manifests
from banyan.engines.authority import Authority
from banyan.engines.envoy import validate
from banyan.kernel.app import discover
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import Topology, read

TOPOLOGY = Path(__file__).parents[2] / "topology"
SHIPPED = ["monolith", "checkout-apart", "microservices"]
TLS = '[gateway.tls]\ncertificate = "gateway.pem"\nkey = "gateway.key"\n'
GAP = re.compile(r"\$\{(\w+):\?\}")


def topology(name: str, folder: Path, more: str = "") -> Topology:
    file = folder / f"{name}.toml"
    file.write_text((TOPOLOGY / f"{name}.toml").read_text() + more)
    return read(file)


def filled(text: str) -> str:
    """Fill the gaps, as Compose does before it looks at anything else."""
    return GAP.sub("1000", text)


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Any]:
    return compose.render(discover(), topology("microservices", tmp_path))


@pytest.mark.parametrize("more", ["", TLS])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_project_is_what_the_compose_specification_wants(
    tmp_path: Path, name: str, more: str
) -> None:
    told = topology(name, tmp_path, more)

    files = manifests.render("compose", discover(), told, "")

    PyCompose.from_yaml(filled(files["compose.yaml"])).validate()
    assert ("nats.conf" in files, "envoy.yaml" in files) == (name != "monolith",) * 2


def test_the_specification_would_find_a_misspelt_field_and_an_unknown_secret(
    project: dict[str, Any],
) -> None:
    text = filled(manifests.as_yaml([project]))

    with pytest.raises(ValueError, match="read_onyl"):
        PyCompose.from_yaml(text.replace("read_only", "read_onyl"))
    with pytest.raises(ValueError, match=r"other\.pem"):
        PyCompose.from_yaml(text.replace("source: catalog.pem", "source: other.pem")).validate()


def test_a_process_shows_its_own_certificate_and_its_own_modules_logins(
    project: dict[str, Any],
) -> None:
    catalog = project["services"]["catalog"]

    shown = [secret["source"] for secret in catalog["secrets"]]
    asked = GAP.findall(catalog["environment"]["BANYAN_ENGINES_POSTGRES"])
    assert shown == ["ca.pem", "catalog.pem", "catalog.key"]
    assert asked == ["BANYAN_CATALOG_PASSWORD", "BANYAN_SEARCH_PASSWORD"]
    assert catalog["command"][:3] == ["serve", "--process", "catalog"]
    assert catalog["deploy"] == {"replicas": 2}
    assert (catalog["read_only"], catalog["cap_drop"]) == (True, ["ALL"])


def test_only_the_gateway_is_open_and_data_is_out_of_its_reach(project: dict[str, Any]) -> None:
    services = project["services"]

    open_ones = [name for name, one in services.items() if "ports" in one]
    assert open_ones == ["gateway"]
    assert services["gateway"]["ports"] == ["127.0.0.1:8000:8000"]
    assert services["gateway"]["networks"] == ["front"]
    assert services["postgres"]["networks"] == services["nats"]["networks"] == ["back"]
    assert project["networks"]["back"] == {"internal": True}


def test_a_monolith_needs_neither_broker_nor_gateway(tmp_path: Path) -> None:
    services = compose.render(discover(), topology("monolith", tmp_path))["services"]

    assert set(services) == {"postgres", "migrate", "monolith"}
    assert services["monolith"]["ports"] == [
        {"host_ip": "127.0.0.1", "target": 8000, "published": "8000"}
    ]


def test_servers_that_are_elsewhere_are_not_run_here(tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(
        "[engines]\nnats = 'tls://far:4222'\n"
        "[engines.postgres]\ndefault = 'postgresql://far/shop'\nsearch = 'postgresql://near/found'\n"
        "[engines.replica]\ndefault = 'postgresql://copy/shop'"
    )

    services = compose.render(discover(), read(file))["services"]

    told = services["monolith"]["environment"]
    assert set(services) == {"migrate", "monolith"}
    assert told["BANYAN_ENGINES_NATS"] == "tls://far:4222"
    assert "banyan_search:${BANYAN_SEARCH_PASSWORD:?}@near/found" in told["BANYAN_ENGINES_POSTGRES"]
    assert "banyan_catalog:${BANYAN_CATALOG_PASSWORD:?}@copy/shop" in told["BANYAN_ENGINES_REPLICA"]
    assert "banyan_search" not in told["BANYAN_ENGINES_REPLICA"]
    assert services["migrate"]["environment"]["BANYAN_ENGINES_REPLICA"] == "{}"
    assert services["migrate"]["environment"]["BANYAN_ENGINES_POSTGRES"] == (
        '{"default":"${BANYAN_DEFAULT_ADMINISTRATOR:?}","search":"${BANYAN_SEARCH_ADMINISTRATOR:?}"}'
    )


def test_envoy_takes_its_file_and_finds_replicas_by_name(tmp_path: Path) -> None:
    told = topology("microservices", tmp_path)

    manifests.write("envoy", discover(), told, "", tmp_path)

    validate(tmp_path / "envoy.yaml")
    clusters = compose.envoy(discover(), told)["static_resources"]["clusters"]
    found = {one["name"]: one["load_assignment"]["endpoints"] for one in clusters}
    assert {one["type"] for one in clusters} == {"STRICT_DNS"}
    (catalog,) = found["catalog"][0]["lb_endpoints"]
    assert catalog["endpoint"]["address"]["socket_address"] == {
        "address": "catalog",
        "port_value": 8000,
    }


def test_nats_takes_its_file_and_the_certificates_that_are_made(tmp_path: Path) -> None:
    told = topology("microservices", tmp_path)
    manifests.write("nats", discover(), told, "", tmp_path)
    made = manifests.write("certificates", discover(), told, "", tmp_path / "certificates")
    configuration = tmp_path / "nats.conf"
    text = configuration.read_text()
    for inside, outside in (("tls.crt", "nats.pem"), ("tls.key", "nats.key"), ("ca.crt", "ca.pem")):
        text = text.replace(f"/etc/nats/tls/{inside}", str(tmp_path / "certificates" / outside))
    configuration.write_text(text)

    tried = subprocess.run(
        [Path(sys.executable).parent / "nats-server", "-t", "--config", configuration],
        capture_output=True,
        text=True,
        check=False,
    )

    assert tried.returncode == 0, tried.stderr
    names = {one.stem for one in made}
    assert names == {"nats", "operator", *(process.name for process in told.processes)}
    assert Authority(tmp_path / "certificates").certificate("operator").certificate in made


def test_what_is_not_in_a_topology_cannot_be_rendered(tmp_path: Path) -> None:
    alone = topology("monolith", tmp_path)

    with pytest.raises(Misconfigured, match='write nats = "embedded"'):
        manifests.render("nats", discover(), alone, "")
    with pytest.raises(Misconfigured, match='write gateway = "embedded"'):
        manifests.render("envoy", discover(), alone, "")
    with pytest.raises(Misconfigured, match="--out"):
        manifests.render("certificates", discover(), alone, "")
    with pytest.raises(Misconfigured, match="--out"):
        manifests.one_text("compose", discover(), alone, "")
