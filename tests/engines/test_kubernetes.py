"""Manifests are valid, hold no secret, and allow exactly what the topology declares."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from banyan.engines.routing import paths
from banyan.kernel.app import discover
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import read
from tests.engines.cluster import (
    Json,
    filled,
    objects,
    pods,
    rendered,
    text_of,
    topology,
    variables,
)

TOPOLOGY = Path(__file__).parents[2] / "topology"
SHIPPED = ["monolith", "checkout-apart", "microservices"]
VERSIONS = ["1.34", kubernetes_validate.latest_version()]
MORE = """
[gateway]
timeout_seconds = 7
[gateway.tls]
certificate = "gateway.pem"
key = "gateway.key"
[gateway.canary.catalog]
version = "0.2.0"
weight = 5
[gateway.mirror.pricing]
version = "0.3.0"
percent = 10
[settings.deploy]
image = "registry:5000/shop/banyan:0.1.0"
hostnames = ["shop.example.com"]
monitoring_namespace = "monitoring"
[settings.deploy.egress]
payments = [443]
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Json]]:
    """Render a topology in which everything is told that can be."""
    return rendered(tmp_path_factory.mktemp("full"), text_of("microservices", MORE))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [*SHIPPED, "full"])
def test_every_object_is_what_the_schemas_of_kubernetes_want(
    tmp_path: Path, name: str, version: str
) -> None:
    text = text_of("microservices", MORE) if name == "full" else text_of(name)

    for listed in rendered(tmp_path, text).values():
        for one in listed:
            if not one["apiVersion"].startswith("gateway.networking.k8s.io/"):
                kubernetes_validate.validate(one, version, strict=True)


def test_the_schemas_would_find_a_misspelt_field(full: dict[str, list[Json]]) -> None:
    spoiled = copy.deepcopy(objects(full, "Deployment")["catalog"])
    spoiled["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(spoiled, VERSIONS[0], strict=True)


def test_a_process_gets_the_logins_of_its_own_modules_and_no_others(
    full: dict[str, list[Json]], tmp_path: Path
) -> None:
    told = variables(objects(full, "Deployment")["catalog"])
    keys = [one["valueFrom"]["secretKeyRef"] for one in told.values() if "valueFrom" in one]
    inside = read(topology_file(tmp_path), environment=filled(told)).engines

    assert keys == [
        {"name": "postgres", "key": "catalog"},
        {"name": "postgres", "key": "search"},
        {"name": "admin", "key": "token-hash"},
    ]
    assert inside.database("catalog") == "postgresql://LOGIN_CATALOG@far"
    assert inside.database("payments") == "embedded"
    assert inside.nats == "tls://nats:4222"


def topology_file(folder: Path) -> Path:
    """Write what the ConfigMap holds to where a process reads it."""
    text = text_of("microservices")
    file = folder / "read.toml"
    file.write_text(
        objects(rendered(folder, text), "ConfigMap")["topology"]["data"]["topology.toml"]
    )
    return file


def test_only_the_migration_logs_in_as_administrator(full: dict[str, list[Json]]) -> None:
    ((name, job),) = objects(full, "Job").items()
    secrets = {
        one["valueFrom"]["secretKeyRef"]["name"]
        for deployment in objects(full, "Deployment").values()
        for one in variables(deployment).values()
        if "valueFrom" in one
    }

    assert secrets == {"postgres", "admin"}
    assert variables(job)["ADMINISTRATOR_DEFAULT"]["valueFrom"]["secretKeyRef"] == {
        "name": "postgres-administrator",
        "key": "default",
    }
    assert name.startswith("migrate-")


def test_each_release_has_a_migration_of_its_own(tmp_path: Path) -> None:
    image = '[settings.deploy]\nimage = "banyan:{}"\n'
    texts = [text_of("monolith", image.format(tag)) for tag in ("1", "2", "2")]

    first, second, again = [[*objects(rendered(tmp_path, text), "Job")] for text in texts]

    assert first != second
    assert second == again


def test_a_module_with_a_server_of_its_own_has_an_administrator_of_its_own(tmp_path: Path) -> None:
    own = "[engines.postgres]\ndefault = 'embedded'\ncatalog = 'postgresql://far/catalog'\n"

    (job,) = objects(rendered(tmp_path, own), "Job").values()

    assert variables(job)["BANYAN_ENGINES_POSTGRES"]["value"] == (
        '{"default":"$(ADMINISTRATOR_DEFAULT)","catalog":"$(ADMINISTRATOR_CATALOG)"}'
    )


def test_no_pod_may_do_more_than_the_restricted_standard_allows(
    full: dict[str, list[Json]],
) -> None:
    for pod in pods(full):
        spec, (container,) = pod["spec"], pod["spec"]["containers"]

        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_every_pod_is_behind_the_fence_and_has_a_gate_of_its_own(
    full: dict[str, list[Json]],
) -> None:
    policies = objects(full, "NetworkPolicy")
    everybody = policies["default-deny"]["spec"]

    assert everybody == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "banyan"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    for pod in pods(full):
        labels = pod["metadata"]["labels"]
        component = labels["app.kubernetes.io/component"]
        assert everybody["podSelector"]["matchLabels"].items() <= labels.items()
        assert policies[component]["spec"]["podSelector"] == {"matchLabels": labels}


def test_a_process_hears_the_gateway_and_asks_nats_data_and_what_is_declared(
    full: dict[str, list[Json]],
) -> None:
    policies = objects(full, "NetworkPolicy")
    payments, nats = policies["payments"]["spec"], policies["nats"]["spec"]

    heard = [source for rule in payments["ingress"] for source in rule["from"]]
    asked = [port["port"] for rule in payments["egress"] for port in rule["ports"]]
    assert heard == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
        for name in ("envoy-gateway-system", "monitoring")
    ]
    assert asked == [53, 53, 5432, 4222, 443]
    assert 443 not in [
        port["port"] for rule in policies["catalog"]["spec"]["egress"] for port in rule["ports"]
    ]
    assert [rule["ports"] for rule in nats["ingress"]] == [[{"protocol": "TCP", "port": 4222}]]
    assert "egress" not in nats


@pytest.mark.parametrize(
    ("collector", "port"), [("http://traces.example:4318", 4318), ("https://traces.example/x", 443)]
)
def test_a_process_may_tell_its_traces_where_they_are_collected(
    tmp_path: Path, collector: str, port: int
) -> None:
    traced = rendered(
        tmp_path,
        text_of("microservices", f"[settings.telemetry]\notlp_endpoint = '{collector}'"),
    )

    egress = objects(traced, "NetworkPolicy")["catalog"]["spec"]["egress"]
    assert [one["port"] for one in egress[-1]["ports"]] == [port]


def test_where_there_are_several_replicas_one_may_be_missed_and_more_may_come(
    full: dict[str, list[Json]],
) -> None:
    budgets = objects(full, "PodDisruptionBudget")
    growing = objects(full, "HorizontalPodAutoscaler")

    assert set(budgets) == {"catalog", "ordering"}
    assert {one["spec"]["maxUnavailable"] for one in budgets.values()} == {1}
    assert growing["catalog"]["spec"]["minReplicas"] == 2
    assert growing["pricing"]["spec"]["minReplicas"] == 1
    assert growing["pricing"]["spec"]["maxReplicas"] == 10
    assert "replicas" not in objects(full, "Deployment")["catalog"]["spec"]


def test_a_pod_is_asked_whether_it_lives_and_is_ready_and_may_finish(
    full: dict[str, list[Json]],
) -> None:
    spec = objects(full, "Deployment")["catalog"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]

    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["args"][:3] == ["serve", "--process", "catalog"]
    assert spec["terminationGracePeriodSeconds"] == 30


def test_the_gateway_and_its_routes_are_of_the_shape_that_gateway_api_wants(
    full: dict[str, list[Json]],
) -> None:
    (gateway,) = objects(full, "Gateway").values()
    (listener,) = gateway["spec"]["listeners"]
    services = objects(full, "Service")

    assert set(gateway["spec"]) == {"gatewayClassName", "listeners"}
    assert (listener["protocol"], listener["port"]) == ("HTTPS", 443)
    assert listener["tls"] == {
        "mode": "Terminate",
        "certificateRefs": [{"name": "entrance-tls"}],
    }
    for route in objects(full, "HTTPRoute").values():
        assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
        assert set(route["spec"]) == {"parentRefs", "hostnames", "rules"}
        assert route["spec"]["parentRefs"] == [{"name": gateway["metadata"]["name"]}]
        assert 1 <= len(route["spec"]["rules"]) <= 16
        for rule in route["spec"]["rules"]:
            assert set(rule) <= {"matches", "filters", "backendRefs", "timeouts"}
            assert 1 <= len(rule["matches"]) <= 64
            assert rule["timeouts"] == {"request": "7s"}
            for backend in rule["backendRefs"]:
                ports = [one["port"] for one in services[backend["name"]]["spec"]["ports"]]
                assert backend["port"] in ports
            for match in rule["matches"]:
                assert match["path"]["type"] in {"Exact", "PathPrefix", "RegularExpression"}
                assert match["path"]["value"].startswith("/")


def leads(manifests: Mapping[str, list[Json]], path: str) -> str | None:
    """Take the longest prefix that fits, as Gateway API does, and tell the service at its end."""
    fitting = [
        (len(match["path"]["value"]), rule["backendRefs"][0]["name"])
        for route in objects(manifests, "HTTPRoute").values()
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
        if f"{path}/".startswith(f"{match['path']['value']}/")
    ]
    return max(fitting)[1] if fitting else None


def test_a_path_leads_to_the_process_of_its_module_and_metrics_stay_inside(
    full: dict[str, list[Json]], tmp_path: Path
) -> None:
    apart = topology(tmp_path, text_of("microservices"))
    names = [module.name for module in discover().modules]

    for process in apart.processes:
        hosted = apart.modules_of(process, names)
        for module in discover().modules:
            for path in paths(module.routes) if module.name in hosted else ():
                assert leads(full, re.sub(r"\{.*?\}", "any", path)) == process.name, path
    assert leads(full, "/docs") == "rest"
    assert leads(full, "/metrics") is None


def test_a_canary_gets_its_share_and_a_mirror_only_sees_who_reads(
    full: dict[str, list[Json]],
) -> None:
    routes, running = objects(full, "HTTPRoute"), objects(full, "Deployment")
    shared = [rule["backendRefs"] for rule in routes["catalog"]["spec"]["rules"]]
    seen, unseen = routes["pricing"]["spec"]["rules"]

    assert [
        {"name": "catalog", "port": 8000, "weight": 95},
        {"name": "catalog-canary", "port": 8000, "weight": 5},
    ] in shared
    assert {match["method"] for match in seen["matches"]} == {"GET", "HEAD"}
    assert seen["filters"][0]["requestMirror"] == {
        "backendRef": {"name": "pricing-mirror", "port": 8000},
        "percent": 10,
    }
    assert "filters" not in unseen
    image = running["catalog-canary"]["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "registry:5000/shop/banyan:0.2.0"
    assert running["catalog-canary"]["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[engines]\npostgres = 'postgresql://admin:secret@far/shop'", "BANYAN_ENGINES_POSTGRES"),
        ("[engines]\nnats = 'nats://shop:secret@far'", "BANYAN_ENGINES_POSTGRES"),
        ("[engines]\nreplica = 'postgresql://admin:secret@far/shop'", "BANYAN_ENGINES_POSTGRES"),
        (
            "[process.migrate]\nmodules = ['*']",
            "[process.migrate] cannot be the name of a container",
        ),
        ("[process.7-seas]\nmodules = ['*']", "[process.7-seas] cannot be the name of a container"),
        ("[settings.deploy.egress]\npayment = [443]", "did you mean 'payments'?"),
        ("[settings.deploy]\nimages = 'x'", "did you mean 'image'?"),
        ("[[gateway.legacy]]\nprefix = '/shop'\nupstream = 'http://old'", "[gateway.legacy]"),
    ],
)
def test_what_cannot_run_in_containers_is_refused_with_what_to_change(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        rendered(tmp_path, text)

    assert complaint in str(refused.value)


def test_whoever_is_external_runs_elsewhere(tmp_path: Path) -> None:
    apart = """
[engines]
nats = "nats://nats:4222"
postgres = "postgres://db/banyan"

[process.shipping]
modules = ["fulfillment"]
external = true

[process.rest]
modules = ["*"]
"""

    manifests = rendered(tmp_path, apart)

    assert set(objects(manifests, "Deployment")) == {"rest"}
    assert "shipping" not in objects(manifests, "HTTPRoute")
