"""Who may speak to whom in a Kubernetes cluster, and the ways in: policies and Gateway API."""

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from banyan.engines.container import (
    HTTP_PORT,
    MIGRATE,
    NATS,
    NATS_PORT,
    Container,
    DeploySettings,
    copied,
)
from banyan.engines.endpoints import Json
from banyan.engines.routing import Way, faces, ways
from banyan.kernel.app import House
from banyan.kernel.settings import Misconfigured, load
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.topology import EMBEDDED, Topology

PART_OF = {"app.kubernetes.io/part-of": "banyan"}
COMPONENT = "app.kubernetes.io/component"
ENTRANCE = "entrance"

# A rule may have 64 matches; those that are shown to a mirror count twice.
_MOST_PATHS = 32
_KINDS = {"path_separated_prefix": "PathPrefix", "path": "Exact"}


def labels(component: str) -> dict[str, str]:
    """Tell a thing of ours from others, and from each other."""
    return {**PART_OF, COMPONENT: component}


def selector(component: str) -> Json:
    """Choose the pods of a component."""
    return {"matchLabels": labels(component)}


def fence(topology: Topology, settings: DeploySettings) -> list[Json]:
    """Forbid all that is not allowed elsewhere; a migration may do what it needs."""
    migrating = {"egress": _necessary(topology, settings)}
    return [
        _policy("default-deny", {"matchLabels": PART_OF}, {}),
        _policy(MIGRATE, selector(MIGRATE), migrating),
    ]


def policy(one: Container, topology: Topology, settings: DeploySettings) -> Json:
    """Let a process be asked by the gateway, ask NATS, PostgreSQL and what is declared, and trace.

    No process is asked by another one: calls between them travel over NATS.
    """
    copies = [topology.engines.replica_of(module) for module in copied(one.modules, topology)]
    asking = [settings.gateway_namespace, settings.monitoring_namespace]
    outside = {port for module in one.modules for port in settings.egress.get(module, ())}
    outside |= _collector(topology)
    return _policy(
        one.name,
        selector(one.name),
        {
            "ingress": [_from_namespace(name) for name in asking if name],
            "egress": [
                *_necessary(topology, settings, copies),
                *([{"ports": [_tcp(port) for port in sorted(outside)]}] if outside else []),
            ],
        },
    )


def policy_of_nats() -> Json:
    """Let the processes of the shop speak to NATS, which speaks to nobody."""
    speakers = [{"podSelector": {"matchLabels": PART_OF}}]
    ingress = [{"from": speakers, "ports": [_tcp(NATS_PORT)]}]
    return _policy(NATS, selector(NATS), {"ingress": ingress})


def _necessary(
    topology: Topology, settings: DeploySettings, copies: Iterable[str | None] = ()
) -> list[Json]:
    """Names, data and the broker; where PostgreSQL is, only its secret address says."""
    ports = {settings.postgres_port, *(urlsplit(copy).port for copy in copies if copy)}
    names = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    found: list[Json] = [
        {"to": [{"namespaceSelector": names}], "ports": [_port("UDP", 53), _tcp(53)]},
        {"ports": [_tcp(port) for port in sorted(filter(None, ports))]},
    ]
    nats = topology.engines.nats
    if nats == EMBEDDED:
        found.append({"to": [{"podSelector": selector(NATS)}], "ports": [_tcp(NATS_PORT)]})
    elif nats:
        found.append({"ports": [_tcp(urlsplit(nats).port or NATS_PORT)]})
    return found


def _collector(topology: Topology) -> set[int]:
    """Tell the port to which traces are sent, if they are collected."""
    told = load(TelemetrySettings, "telemetry", file=topology.settings, environment={})
    place = urlsplit(told.otlp_endpoint)
    return {place.port or (443 if place.scheme == "https" else 80)} if place.hostname else set()


def _from_namespace(name: str) -> Json:
    chosen = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    return {"from": [{"namespaceSelector": chosen}], "ports": [_tcp(HTTP_PORT)]}


def _tcp(port: int) -> Json:
    return _port("TCP", port)


def _port(protocol: str, port: int) -> Json:
    return {"protocol": protocol, "port": port}


def _policy(name: str, chosen: Json, allowed: Json) -> Json:
    """Write a policy for both directions: what it does not allow is forbidden."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": PART_OF},
        "spec": {"podSelector": chosen, "policyTypes": ["Ingress", "Egress"], **allowed},
    }


def gateway(topology: Topology, settings: DeploySettings) -> Json:
    """Open the one entrance, with TLS where the topology has it."""
    listener: Json = {"name": "http", "protocol": "HTTP", "port": 80}
    if topology.gateway.tls:
        tls = {"mode": "Terminate", "certificateRefs": [{"name": f"{ENTRANCE}-tls"}]}
        listener = {"name": "https", "protocol": "HTTPS", "port": 443, "tls": tls}
    spec = {
        "gatewayClassName": settings.gateway_class,
        "listeners": [{**listener, "allowedRoutes": {"namespaces": {"from": "Same"}}}],
    }
    return _of_gateway_api("Gateway", ENTRANCE, spec)


def http_routes(
    house: House, topology: Topology, settings: DeploySettings, running: Sequence[Container]
) -> list[Json]:
    """Lead every path to its process; what belongs to nobody is left to the gateway."""
    if topology.gateway.legacy:
        raise Misconfigured(
            "[gateway.legacy] cannot be rendered for Kubernetes, whose Gateway API leads to "
            "services only: leave it out, and add an HTTPRoute to a service of your own."
        )
    at = {one.pool: one.name for one in running}
    timeout = f"{topology.gateway.timeout_seconds}s"
    found = []
    for process in topology.processes:
        if process.external:
            continue
        led: dict[str, list[Way]] = {}
        for way in ways(faces(house, topology), topology):
            # Behind the last one, everything, are also metrics, which stay inside.
            if way.pool == process.name and way.match != {"prefix": "/"}:
                led.setdefault(repr((way.canary, way.mirror)), []).append(way)
        rules = [
            {**rule, "timeouts": {"request": timeout}}
            for some in led.values()
            for start in range(0, len(some), _MOST_PATHS)
            for rule in _rules(some[start : start + _MOST_PATHS], at)
        ]
        if rules:
            hostnames = {"hostnames": [*settings.hostnames]} if settings.hostnames else {}
            spec = {"parentRefs": [{"name": ENTRANCE}], **hostnames, "rules": rules}
            found.append(_of_gateway_api("HTTPRoute", process.name, spec))
    return found


def _rules(alike: Sequence[Way], at: dict[str, str]) -> Iterator[Json]:
    """Lead paths to one process, a share of them to its canary, and show readers to its mirror."""
    first = alike[0]
    weight = 100 - first.canary.percent if first.canary else 1
    backends = [{**_backend(at[first.pool]), "weight": weight}]
    if first.canary:
        backends.append({**_backend(at[first.canary.pool]), "weight": first.canary.percent})
    matches = [_match(way) for way in alike]
    if first.mirror:
        mirror = {"backendRef": _backend(at[first.mirror.pool]), "percent": first.mirror.percent}
        yield {
            "matches": [{**match, "method": verb} for match in matches for verb in ("GET", "HEAD")],
            "filters": [{"type": "RequestMirror", "requestMirror": mirror}],
            "backendRefs": backends,
        }
    yield {"matches": matches, "backendRefs": backends}


def _backend(name: str) -> Json:
    return {"name": name, "port": HTTP_PORT}


def _match(way: Way) -> Json:
    ((kind, value),) = way.match.items()
    path = (
        {"type": _KINDS[kind], "value": value}
        if kind in _KINDS
        else {"type": "RegularExpression", "value": value["regex"]}
    )
    return {"path": path}


def _of_gateway_api(kind: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "labels": PART_OF},
        "spec": spec,
    }
