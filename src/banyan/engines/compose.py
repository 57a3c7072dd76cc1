"""A shop in containers on one machine, as a Compose project, from the topology."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from banyan.engines import gateway
from banyan.engines.container import (
    CERTIFICATES,
    DATA,
    GATEWAY,
    GRACE_SECONDS,
    HTTP_PORT,
    MIGRATE,
    MIGRATION,
    NATS,
    NATS_CERTIFICATES,
    NATS_MONITORING_PORT,
    NATS_STORE,
    POSTGRES,
    TOPOLOGY,
    Container,
    as_json,
    containers,
    copied,
    deploy_settings,
    envoy_image,
    logins,
    nats_environment,
    nats_image,
    postgres_image,
    refuse_passwords,
)
from banyan.engines.endpoints import Endpoints, Json, socket_address, versions_of
from banyan.engines.routing import READY, faces, ways
from banyan.kernel.app import House
from banyan.kernel.entrance import Tls
from banyan.kernel.migration import role_of
from banyan.kernel.settings import load
from banyan.kernel.telemetry import TelemetrySettings
from banyan.kernel.topology import EMBEDDED, Topology

_ENVOY = "/etc/envoy/envoy.yaml"
_SERVER = "/etc/nats/server.conf"
_GATEWAY_TLS = Tls(certificate="/etc/envoy/tls.crt", key="/etc/envoy/tls.key")
_DATABASE = f"postgresql://{POSTGRES}:5432/banyan"
# Files keep their owner inside a container: only he may read keys.
_OWNER = "${BANYAN_UID:?}"
_ASK_READY = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{HTTP_PORT}{READY}')"


class ByName(Endpoints):
    """Replicas that the gateway finds by the name of their container, as a resolver knows it."""

    def __init__(self, house: House, topology: Topology, running: Sequence[Container]) -> None:
        modules = [module.name for module in house.modules]
        apart = {one.name: versions_of(topology, one, modules) for one in topology.processes}
        super().__init__(Path(), apart)
        self._at = {one.pool: one.name for one in running}

    def clusters(self) -> list[Json]:
        """Configure every pool as if it were listed in a file, but for how it is found."""
        return [self._resolved(cluster) for cluster in super().clusters()]

    def _resolved(self, cluster: Json) -> Json:
        name = cluster["name"]
        address = socket_address(self._at[name], HTTP_PORT)
        found = {"lb_endpoints": [{"endpoint": {"address": address}}]}
        listed = {key: told for key, told in cluster.items() if key != "eds_cluster_config"}
        return {
            **listed,
            "type": "STRICT_DNS",
            "load_assignment": {"cluster_name": name, "endpoints": [found]},
        }


def envoy(house: House, topology: Topology) -> Json:
    """Configure an Envoy in a container, which leads to processes in others."""
    running = containers(house, topology, deploy_settings(house, topology))
    told = topology.gateway
    return gateway.render(
        msgspec.structs.replace(told, tls=_GATEWAY_TLS if told.tls else None),
        ways(faces(house, topology), topology),
        ByName(house, topology, running),
        host="0.0.0.0",  # noqa: S104 - a container's own
        port=HTTP_PORT,
        telemetry=load(TelemetrySettings, "telemetry", file=topology.settings, environment={}),
    )


def render(house: House, topology: Topology) -> Json:
    """Make the project; beside it are the topology and what gateway and NATS read.

    What is secret stands in `.env`, and in the folder `certificates`.
    """
    refuse_passwords(topology)
    running = containers(house, topology, deploy_settings(house, topology))
    own_nats = topology.engines.nats == EMBEDDED
    own_postgres = topology.engines.database("") == EMBEDDED
    engines = [*([POSTGRES] if own_postgres else []), *([NATS] if own_nats else [])]
    services = {
        **({POSTGRES: _postgres()} if own_postgres else {}),
        **({NATS: _nats()} if own_nats else {}),
        MIGRATE: _migration(house, topology, running[0].image, engines),
        **{one.name: _process(one, topology) for one in running},
        **({GATEWAY: _gateway(topology, running)} if topology.engines.gateway else {}),
    }
    shown = _shown(topology, running) if topology.engines.nats else []
    tls = topology.gateway.tls
    secrets = {
        **{name: {"file": f"./certificates/{name}"} for name in shown},
        **({"tls.crt": {"file": tls.certificate}, "tls.key": {"file": tls.key}} if tls else {}),
    }
    files = {
        "topology.toml": True,
        "nats.conf": own_nats,
        "envoy.yaml": bool(topology.engines.gateway),
    }
    volumes = [name for name, own in ((POSTGRES, own_postgres), (NATS, own_nats)) if own]
    return {
        "name": "banyan",
        "services": services,
        "networks": {"front": {}, "back": {"internal": True}},
        "configs": {name: {"file": f"./{name}"} for name, there in files.items() if there},
        **({"secrets": secrets} if secrets else {}),
        **({"volumes": {name: {} for name in volumes}} if volumes else {}),
    }


def _shown(topology: Topology, running: Sequence[Container]) -> list[str]:
    """List the files by which everybody on the broker is believed."""
    names = [NATS] if topology.engines.nats == EMBEDDED else []
    names += ["operator", *dict.fromkeys(one.process for one in running)]
    return ["ca.pem", *(f"{name}.{end}" for name in names for end in ("pem", "key"))]


def _process(one: Container, topology: Topology) -> Json:
    engines = topology.engines
    modules = {module: _login(module, engines.database(module)) for module in one.modules}
    # Beside the PostgreSQL that we run ourselves, there is no copy.
    copies = {
        module: _login(module, copy)
        for module in copied(one.modules, topology)
        if (copy := engines.replica_of(module)) and copy != EMBEDDED
    }
    # Where there is no gateway, everybody is asked at a port of his own.
    alone = len(topology.processes) == one.replicas == 1
    published = {"published": str(HTTP_PORT)} if alone else {}
    open_to_all = {"ports": [{"host_ip": "127.0.0.1", "target": HTTP_PORT, **published}]}
    return {
        **_banyan(one.image, one.command, topology, certificate=one.process),
        "environment": {
            "BANYAN_ENGINES_POSTGRES": logins(modules),
            "BANYAN_ENGINES_REPLICA": as_json(copies),
            "BANYAN_ADMIN_TOKEN_HASH": _asked("BANYAN_ADMIN_TOKEN_HASH"),
            **nats_environment(topology),
        },
        # What else this process is to be told, such as the password of a mail server.
        "env_file": [{"path": f"./settings-{one.process}.env", "required": False}],
        "networks": ["front", "back"],
        **({} if engines.gateway else open_to_all),
        "depends_on": {MIGRATE: {"condition": "service_completed_successfully"}},
        "healthcheck": {**_often(["CMD", "python", "-c", _ASK_READY]), "start_period": "30s"},
        "restart": "unless-stopped",
        "deploy": {"replicas": one.replicas},
    }


def _migration(house: House, topology: Topology, image: str, engines: Iterable[str]) -> Json:
    own = topology.engines.with_own_database()
    servers = {name: _administrator(name, topology) for name in ("default", *sorted(own))}
    modules = sorted(module.name for module in house.modules)
    return {
        **_banyan(image, MIGRATION, topology, certificate="operator"),
        "environment": {
            "BANYAN_ENGINES_POSTGRES": as_json(servers),
            "BANYAN_ENGINES_REPLICA": as_json({}),
            "BANYAN_MIGRATE_LOGINS": as_json(
                {name: _login(name, topology.engines.database(name)) for name in modules}
            ),
            **nats_environment(topology),
        },
        "networks": ["front", "back"],
        "depends_on": {name: {"condition": "service_healthy"} for name in engines},
        "restart": "on-failure",
    }


def _banyan(image: str, command: list[str], topology: Topology, *, certificate: str) -> Json:
    """Run our image, unable to change anything but its data and `/tmp`."""
    shown = ("ca.pem", f"{certificate}.pem", f"{certificate}.key")
    at = zip(shown, ("ca.crt", "tls.crt", "tls.key"), strict=True)
    secrets = [_mounted(name, f"{CERTIFICATES}/{target}") for name, target in at]
    return {
        "image": image,
        "command": command,
        "user": _OWNER,
        "read_only": True,
        "tmpfs": ["/tmp", f"{DATA}:mode=1777"],  # noqa: S108 - its own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "stop_grace_period": f"{GRACE_SECONDS}s",
        "configs": [_mounted("topology.toml", TOPOLOGY)],
        **({"secrets": secrets} if topology.engines.nats else {}),
    }


def _postgres() -> Json:
    return {
        "image": postgres_image(),
        "environment": {"POSTGRES_PASSWORD": _asked("POSTGRES_PASSWORD"), "POSTGRES_DB": "banyan"},
        "networks": ["back"],
        "volumes": [f"{POSTGRES}:/var/lib/postgresql"],
        "healthcheck": _often(["CMD", "pg_isready", "-U", "postgres", "-d", "banyan"]),
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
    }


def _nats() -> Json:
    files = {f"{NATS}.pem": "tls.crt", f"{NATS}.key": "tls.key", "ca.pem": "ca.crt"}
    healthy = f"http://127.0.0.1:{NATS_MONITORING_PORT}/healthz"
    return {
        "image": nats_image(),
        "command": ["--config", _SERVER],
        "networks": ["back"],
        "volumes": [f"{NATS}:{NATS_STORE}"],
        "configs": [_mounted("nats.conf", _SERVER)],
        "secrets": [_mounted(name, f"{NATS_CERTIFICATES}/{to}") for name, to in files.items()],
        "healthcheck": _often(["CMD", "wget", "-q", "-O", "-", healthy]),
        "restart": "unless-stopped",
    }


def _gateway(topology: Topology, running: Sequence[Container]) -> Json:
    tls = [_mounted(Path(to).name, to) for to in (_GATEWAY_TLS.certificate, _GATEWAY_TLS.key)]
    return {
        "image": envoy_image(),
        "command": ["--config-path", _ENVOY],
        "user": _OWNER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "networks": ["front"],
        "ports": [f"127.0.0.1:{HTTP_PORT}:{HTTP_PORT}"],
        "configs": [_mounted("envoy.yaml", _ENVOY)],
        **({"secrets": tls} if topology.gateway.tls else {}),
        "depends_on": {one.name: {"condition": "service_healthy"} for one in running},
        "restart": "unless-stopped",
    }


def _login(module: str, told: str) -> str:
    """Write where a module's data, or a copy of it, is and that its role logs in there."""
    parts = urlsplit(_DATABASE if told == EMBEDDED else told)
    role, password = role_of(module), _asked(f"BANYAN_{module.upper()}_PASSWORD")
    return urlunsplit(parts._replace(netloc=f"{role}:{password}@{parts.netloc}"))


def _administrator(server: str, topology: Topology) -> str:
    if topology.engines.database(server) == EMBEDDED:
        password = _asked("POSTGRES_PASSWORD")
        return _DATABASE.replace("://", f"://postgres:{password}@")
    return _asked(f"BANYAN_{server.upper()}_ADMINISTRATOR")


def _asked(variable: str) -> str:
    """Leave a gap for what `.env` says, without which nothing starts."""
    return f"${{{variable}:?}}"


def _mounted(source: str, target: str) -> Json:
    return {"source": source, "target": target}


def _often(test: list[str]) -> Json:
    return {"test": test, "interval": "3s", "timeout": "3s", "retries": 10}
