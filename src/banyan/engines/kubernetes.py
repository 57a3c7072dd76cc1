"""A shop in a Kubernetes cluster: what runs there, from the topology. Secrets are only named."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from banyan.engines import neighborhood
from banyan.engines.container import (
    CERTIFICATES,
    DATA,
    GRACE_SECONDS,
    HTTP_PORT,
    MIGRATE,
    MIGRATION,
    NATS,
    NATS_CERTIFICATES,
    NATS_MONITORING_PORT,
    NATS_PORT,
    NATS_STORE,
    TOPOLOGY,
    USER,
    Container,
    DeploySettings,
    as_json,
    containers,
    copied,
    deploy_settings,
    logins,
    nats_configuration,
    nats_environment,
    nats_image,
    nats_url,
    refuse_passwords,
)
from banyan.engines.endpoints import Json
from banyan.engines.neighborhood import labels, selector
from banyan.engines.routing import LIVE, READY
from banyan.kernel.app import House
from banyan.kernel.topology import EMBEDDED, Topology

_CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_CHANGED = "banyan/configuration"
_BUSY_PERCENT = 70
# So long a pod is still asked after it was told to end, until every gateway has heard of it.
_FAREWELL_SECONDS = 5


def render(house: House, topology: Topology, text: str) -> dict[str, list[Json]]:
    """Make the manifests, by file: one for each process, and what they share.

    `text` is the topology file, which every process reads again.
    """
    refuse_passwords(topology)
    settings = deploy_settings(house, topology)
    running = containers(house, topology, settings)
    shared = [
        _config_map("topology", {"topology.toml": text}),
        *neighborhood.fence(topology, settings),
        neighborhood.gateway(topology, settings),
        *neighborhood.http_routes(house, topology, settings, running),
    ]
    told = {"shop": shared}
    if topology.engines.nats == EMBEDDED:
        told[NATS] = [*_nats(house, topology)]
    told[MIGRATE] = [_migration(house, topology, settings, text)]
    for one in running:
        told[one.name] = [
            *_workload(one, topology, settings, text),
            neighborhood.policy(one, topology, settings),
        ]
    return told


def _workload(
    one: Container, topology: Topology, settings: DeploySettings, text: str
) -> Iterator[Json]:
    """Say how a process runs, is found, is spared and grows."""
    spec: Json = {
        "selector": selector(one.name),
        # A new pod is ready before an old one is told to end.
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": _pod(one, topology, settings, text),
    }
    if one.apart:  # Nobody else decides how many there are.
        spec["replicas"] = one.replicas
    yield _object("apps/v1", "Deployment", one.name, spec)
    yield _service(one.name, {"http": HTTP_PORT})
    if one.replicas > 1:
        disruption = {"maxUnavailable": 1, "selector": selector(one.name)}
        yield _object("policy/v1", "PodDisruptionBudget", one.name, disruption)
    if not one.apart:
        yield _object("autoscaling/v2", "HorizontalPodAutoscaler", one.name, _growth(one, settings))


def _growth(one: Container, settings: DeploySettings) -> Json:
    target = {"type": "Utilization", "averageUtilization": _BUSY_PERCENT}
    return {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": one.name},
        "minReplicas": one.replicas,
        "maxReplicas": max(one.replicas, settings.most_replicas),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }


def _pod(one: Container, topology: Topology, settings: DeploySettings, text: str) -> Json:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": selector(one.name),
    }
    copies = copied(one.modules, topology)
    main = {
        **_container(one.image, one.command, settings),
        "env": [
            *_secrets("LOGIN", "postgres", one.modules),
            _variable("BANYAN_ENGINES_POSTGRES", logins(_references("LOGIN", one.modules))),
            *_secrets("COPY", "postgres-replica", copies),
            _variable("BANYAN_ENGINES_REPLICA", as_json(_references("COPY", copies))),
            _from_secret("BANYAN_ADMIN_TOKEN_HASH", "admin", "token-hash"),
            *_plain(nats_environment(topology)),
        ],
        # What else this process is to be told, such as the password of a mail server.
        "envFrom": [{"secretRef": {"name": f"settings-{one.process}", "optional": True}}],
        "ports": [{"name": "http", "containerPort": HTTP_PORT}],
        "startupProbe": {**_probe(LIVE), "periodSeconds": 1, "failureThreshold": 60},
        "livenessProbe": {**_probe(LIVE), "periodSeconds": 10},
        "readinessProbe": {**_probe(READY), "periodSeconds": 3, "failureThreshold": 2},
        "lifecycle": {"preStop": {"sleep": {"seconds": _FAREWELL_SECONDS}}},
    }
    spec = {
        **_manners(main, certificate=one.process if nats_url(topology) else None),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "topologySpreadConstraints": [spread],
    }
    return _template(one.name, spec, text)


def _migration(house: House, topology: Topology, settings: DeploySettings, text: str) -> Json:
    """Bring the databases up to date once for each release: a job cannot be changed."""
    servers = ["default", *sorted(topology.engines.with_own_database())]
    modules = sorted(module.name for module in house.modules)
    main = {
        **_container(settings.image, MIGRATION, settings),
        "env": [
            *_secrets("ADMINISTRATOR", "postgres-administrator", servers),
            _variable("BANYAN_ENGINES_POSTGRES", as_json(_references("ADMINISTRATOR", servers))),
            _variable("BANYAN_ENGINES_REPLICA", as_json({})),
            *_secrets("LOGIN", "postgres", modules),
            _variable("BANYAN_MIGRATE_LOGINS", as_json(_references("LOGIN", modules))),
            *_plain(nats_environment(topology)),
        ],
    }
    spec = {
        **_manners(main, certificate="operator" if nats_url(topology) else None),
        "restartPolicy": "OnFailure",
    }
    release = hashlib.sha256(f"{settings.image}\n{text}".encode()).hexdigest()[:8]
    job = {"backoffLimit": 10, "template": _template(MIGRATE, spec, text)}
    return _object("batch/v1", "Job", f"{MIGRATE}-{release}", job, component=MIGRATE)


def _nats(house: House, topology: Topology) -> Iterator[Json]:
    """Run the NATS that the topology calls embedded; three of them need a chart of their own."""
    text = nats_configuration(house, topology, monitoring="0.0.0.0")  # noqa: S104 - for probes
    probe = {"httpGet": {"path": "/healthz", "port": NATS_MONITORING_PORT}}
    main = {
        "name": NATS,
        "image": nats_image(),
        "args": ["--config", "/etc/nats/server.conf"],
        "ports": [{"name": NATS, "containerPort": NATS_PORT}],
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 60},
        "livenessProbe": {**probe, "periodSeconds": 10},
        "securityContext": _CONFINED,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/nats/server.conf", "subPath": "nats.conf"},
            {"name": "certificate", "mountPath": str(NATS_CERTIFICATES), "readOnly": True},
            {"name": "store", "mountPath": NATS_STORE},
        ],
    }
    spec = {
        **_household([main]),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "volumes": [
            {"name": "configuration", "configMap": {"name": NATS}},
            _certificate(NATS),
        ],
    }
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Gi"}}}
    stateful = {
        "serviceName": NATS,
        "replicas": 1,
        "selector": selector(NATS),
        "template": _template(NATS, spec, text),
        "volumeClaimTemplates": [{"metadata": {"name": "store"}, "spec": claim}],
    }
    yield _config_map(NATS, {"nats.conf": text})
    yield _object("apps/v1", "StatefulSet", NATS, stateful)
    yield _service(NATS, {NATS: NATS_PORT})
    yield neighborhood.policy_of_nats()


def _container(image: str, arguments: list[str], settings: DeploySettings) -> Json:
    """Run our image, unable to change anything but its data and `/tmp`."""
    return {
        "name": "banyan",
        "image": image,
        "args": arguments,
        "securityContext": _CONFINED,
        "resources": {
            "requests": {"cpu": settings.cpu, "memory": settings.memory},
            "limits": {"memory": settings.memory},
        },
    }


def _manners(main: Json, *, certificate: str | None) -> Json:
    """Give a container of ours its files: the topology, a certificate, and room to write."""
    volumes: list[Json] = [
        {"name": "topology", "configMap": {"name": "topology"}},
        {"name": "data", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[Json] = [
        {"name": "topology", "mountPath": TOPOLOGY, "subPath": "topology.toml"},
        {"name": "data", "mountPath": DATA},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - its own
    ]
    if certificate:
        volumes.append(_certificate(certificate))
        mounts.append({"name": "certificate", "mountPath": str(CERTIFICATES), "readOnly": True})
    return {**_household([{**main, "volumeMounts": mounts}]), "volumes": volumes}


def _household(inside: list[Json]) -> Json:
    """Let a pod be nobody, and know nothing of the cluster."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": inside,
    }


def _template(component: str, spec: Json, text: str) -> Json:
    """Start pods anew when the file changes that they have read."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {
        "metadata": {"labels": labels(component), "annotations": {_CHANGED: digest}},
        "spec": spec,
    }


def _probe(path: str) -> Json:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 2}


def _service(name: str, ports: Mapping[str, int]) -> Json:
    spec = {
        "selector": labels(name),
        "ports": [
            {"name": port, "port": number, "targetPort": port} for port, number in ports.items()
        ],
    }
    return _object("v1", "Service", name, spec)


def _config_map(name: str, files: Mapping[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels(name)},
        "data": dict(files),
    }


def _object(version: str, kind: str, name: str, spec: Json, component: str | None = None) -> Json:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": labels(component or name)},
        "spec": spec,
    }


def _certificate(name: str) -> Json:
    secret = {"secretName": f"certificate-{name}", "defaultMode": 0o440}
    return {"name": "certificate", "secret": secret}


def _secrets(prefix: str, secret: str, keys: Iterable[str]) -> list[Json]:
    return [_from_secret(_spelled(prefix, key), secret, key) for key in keys]


def _references(prefix: str, keys: Iterable[str]) -> dict[str, str]:
    """Refer to variables that stand before, as Kubernetes fills them in."""
    return {key: f"$({_spelled(prefix, key)})" for key in keys}


def _spelled(prefix: str, key: str) -> str:
    return f"{prefix}_{key.upper()}"


def _from_secret(variable: str, secret: str, key: str) -> Json:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}


def _variable(name: str, value: str) -> Json:
    return {"name": name, "value": value}


def _plain(variables: Mapping[str, str]) -> list[Json]:
    return [_variable(name, value) for name, value in variables.items()]
