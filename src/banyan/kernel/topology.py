"""Where code runs: which process hosts which modules, and which engines stand between them."""

import graphlib
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from banyan.kernel.contract import Value
from banyan.kernel.settings import Misconfigured, Settings, settle, unknown

EMBEDDED: Literal["embedded"] = "embedded"
EVERYTHING_ELSE = "*"

_DEFAULT = "default"
_POSTGRES = ("postgres://", "postgresql://")
_NATS = ("nats://", "tls://")
_TABLES = ("engines", "gateway", "process", "settings")
_OURS = ("/api", "/docs", "/health", "/metrics", "/openapi.json", "/problems")
_PREFIX = re.compile(r"/|(/[\w.~-]+)+", re.ASCII)
_UPSTREAM = re.compile(r"https?://[\w.-]+(:\d{1,5})?", re.ASCII)

Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.+-]{1,64}$")]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]


class Engines(Settings):
    """What stands beside the processes: started by us ("embedded"), or found at an address."""

    postgres: str | dict[str, str] = EMBEDDED
    nats: str | None = None
    gateway: str | None = None

    def __post_init__(self) -> None:
        servers = self._servers()
        if _DEFAULT not in servers:
            raise ValueError(
                "postgres: names no server for the modules that it does not list; "
                'add default = "embedded" or default = "postgres://…".'
            )
        for whose, server in servers.items():
            if server != EMBEDDED and not server.startswith(_POSTGRES):
                raise ValueError(
                    f'postgres: the server of {whose} is neither "embedded" nor postgres://….'
                )

        if self.nats not in {None, EMBEDDED} and not str(self.nats).startswith(_NATS):
            raise ValueError('nats: is neither "embedded" nor nats://….')
        if self.gateway not in {None, EMBEDDED}:
            raise ValueError('gateway: is not "embedded"; leave it out to have none.')

    def database(self, module: str) -> str:
        """Tell where a module's data lies: "embedded", or a DSN."""
        servers = self._servers()
        return servers.get(module, servers[_DEFAULT])

    def with_own_database(self) -> frozenset[str]:
        """List the modules whose data lies elsewhere than that of all others."""
        return frozenset(self._servers()) - {_DEFAULT}

    def _servers(self) -> Mapping[str, str]:
        return {_DEFAULT: self.postgres} if isinstance(self.postgres, str) else self.postgres


class Hosting(Settings):
    """What one process hosts, by name; `*` stands for whatever no process names."""

    modules: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    replicas: Annotated[int, msgspec.Meta(ge=1)] = 1


class Limits(Settings):
    """How often one client, known by its address, may ask: in the long run, and at once."""

    requests_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 600
    burst: Annotated[int, msgspec.Meta(ge=1)] = 100


class Tls(Settings):
    """The files, in PEM, by which the entrance proves who it is."""

    certificate: str
    key: str


class Canary(Settings):
    """The share of a module's requests, in percent, that replicas of another version answer."""

    version: Version
    weight: Percent


class Mirror(Settings):
    """The share of a module's reading requests, in percent, that another version is shown, too."""

    version: Version
    percent: Percent


class Legacy(Settings):
    """What is below this prefix of paths is answered by an older system; `/` is all the rest."""

    prefix: str
    upstream: str

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError(f'prefix: {self.prefix!r} is not a path such as "/shop".')
        if not _UPSTREAM.fullmatch(self.upstream):
            raise ValueError(
                f'upstream: {self.upstream!r} is not an address such as "http://old.example:8080".'
            )


class Gateway(Settings):
    """How the one entrance treats those who come; limits hold where there is no gateway, too.

    `trusted_hops` counts the proxies before us whose word on a client's address is taken.
    """

    trusted_hops: Annotated[int, msgspec.Meta(ge=0)] = 0
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1)] = 12
    limits: Limits | None = None
    tls: Tls | None = None
    canary: Mapping[str, Canary] = {}
    mirror: Mapping[str, Mirror] = {}
    legacy: tuple[Legacy, ...] = ()


class Process(Value):
    """A process, and what it hosts."""

    name: str
    modules: tuple[str, ...]
    channels: tuple[str, ...]
    replicas: int = 1


class Topology(Value):
    """The one thing in which a monolith and its microservices differ."""

    engines: Engines
    processes: tuple[Process, ...]
    settings: Mapping[str, Any]
    gateway: Gateway = Gateway()

    def process(self, name: str) -> Process:
        """Find a process by its name."""
        for process in self.processes:
            if process.name == name:
                return process
        names = [process.name for process in self.processes]
        raise Misconfigured(f"There is no process {unknown(name, names)}")

    def modules_of(self, process: Process, modules: Iterable[str]) -> frozenset[str]:
        """List which of the known modules a process hosts, `*` being spelled out."""
        return _hosted(process.modules, modules, (p.modules for p in self.processes))

    def channels_of(self, process: Process, channels: Iterable[str]) -> frozenset[str]:
        """List which of the known channels a process hosts, `*` being spelled out."""
        return _hosted(process.channels, channels, (p.channels for p in self.processes))


def monolith() -> Topology:
    """Host everything in one process, beside an embedded PostgreSQL."""
    everything = (EVERYTHING_ELSE,)
    return Topology(
        engines=Engines(),
        processes=(Process(name="monolith", modules=everything, channels=everything),),
        settings={},
    )


def read(path: Path | None, *, environment: Mapping[str, str] | None = None) -> Topology:
    """Read a topology file; without one, everything is in one process.

    The environment may name engines, so that a file holds no password: `BANYAN_ENGINES_POSTGRES`.
    """
    document = {} if path is None else _document(path)
    for name in document:
        if name not in _TABLES:
            raise Misconfigured(f"{path}: there is no table {unknown(name, _TABLES)}")
    default = monolith()
    hostings = _table(document, "process")
    return Topology(
        engines=settle(Engines, "engines", document.get("engines", {}), environment or {}),
        processes=tuple(_process(name, told) for name, told in hostings.items())
        or default.processes,
        settings=_table(document, "settings"),
        gateway=_gateway(document.get("gateway", {})),
    )


def check(
    topology: Topology,
    *,
    modules: Collection[str],
    channels: Collection[str],
    needs: Mapping[str, Collection[str]],
) -> None:
    """Refuse a topology that cannot work, with everything that is wrong and what to change.

    `needs` says of each module which other modules it asks synchronously.
    """
    complaints = [
        *_unknown_names(topology, modules, channels),
        *_misplaced("module", modules, {p.name: p.modules for p in topology.processes}),
        *_misplaced("channel", channels, {p.name: p.channels for p in topology.processes}),
        *_apart_without_broker(topology),
        *_entrance(topology, modules),
        *_circles(needs),
    ]
    if complaints:
        raise Misconfigured(*complaints)


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Misconfigured(f"There is no topology file at {path}.") from None
    except OSError as refusal:
        raise Misconfigured(f"{path} cannot be read: {refusal.strerror}.") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{path} is not a text in UTF-8.") from None
    except tomllib.TOMLDecodeError as refusal:
        raise Misconfigured(f"{path} is not TOML: {refusal}.") from None


def _table(document: Mapping[str, Any], name: str, *, within: str = "") -> Mapping[str, Any]:
    table = document.get(name, {})
    if not isinstance(table, Mapping):
        path = f"{within}{name}"
        raise Misconfigured(f"[{path}] must hold tables, such as [{path}.catalog].")
    return table


def _gateway(told: object) -> Gateway:
    """Read the tables within [gateway] each by its own kind, so that every name is known."""
    if not isinstance(told, Mapping):
        raise Misconfigured(f"[gateway] must be a table of settings, not {told!r}.")
    legacy = told.get("legacy", [])
    if not isinstance(legacy, list):
        raise Misconfigured("[gateway] legacy: must be written as [[gateway.legacy]].")
    inner: dict[str, Any] = {
        "legacy": tuple(settle(Legacy, "gateway.legacy", t, {}) for t in legacy)
    }
    for name, kind in (("limits", Limits), ("tls", Tls)):
        if name in told:
            inner[name] = settle(kind, f"gateway.{name}", told[name], {})
    for name, share in (("canary", Canary), ("mirror", Mirror)):
        inner[name] = {
            module: settle(share, f"gateway.{name}.{module}", table, {})
            for module, table in _table(told, name, within="gateway.").items()
        }
    outer = {name: value for name, value in told.items() if name not in inner}
    return msgspec.structs.replace(settle(Gateway, "gateway", outer, {}), **inner)


def _process(name: str, told: object) -> Process:
    hosting = settle(Hosting, f"process.{name}", told, {})
    if not hosting.modules and not hosting.channels:
        raise Misconfigured(
            f'[process.{name}] hosts nothing: write modules = ["…"], channels = ["…"] or both.'
        )
    return Process(name=name, **msgspec.structs.asdict(hosting))


def _hosted(
    named: Collection[str], known: Iterable[str], elsewhere: Iterable[Collection[str]]
) -> frozenset[str]:
    rest = set(known).difference(*elsewhere) if EVERYTHING_ELSE in named else set[str]()
    return frozenset(rest | set(named) - {EVERYTHING_ELSE})


def _unknown_names(
    topology: Topology, modules: Collection[str], channels: Collection[str]
) -> Iterator[str]:
    for process in topology.processes:
        for kind, named, known in (
            ("module", process.modules, modules),
            ("channel", process.channels, channels),
        ):
            for name in named:
                if name not in known and name != EVERYTHING_ELSE:
                    yield f"[process.{process.name}] there is no {kind} {unknown(name, known)}"
    for name in topology.engines.with_own_database():
        if name not in modules:
            yield f"[engines] postgres: there is no module {unknown(name, modules)}"


def _misplaced(
    kind: str, known: Collection[str], hosts: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """Everything has one home: no second one, and none that nobody gave it."""
    homes: dict[str, list[str]] = {}
    for process, named in hosts.items():
        for name in named:
            homes.setdefault(name, []).append(process)
    for name, processes in homes.items():
        if len(processes) > 1:
            where = " and ".join(f"[process.{process}]" for process in processes)
            thing = f'"*" of {kind}s' if name == EVERYTHING_ELSE else f"The {kind} {name}"
            yield f"{thing} is hosted twice, in {where}: leave it in one of them."
    if EVERYTHING_ELSE not in homes:
        for name in sorted(set(known) - set(homes)):
            yield (
                f"The {kind} {name} is hosted nowhere: name it in a process, "
                f'or give one process {kind}s = ["*"].'
            )


def _apart_without_broker(topology: Topology) -> Iterator[str]:
    apart = len(topology.processes) > 1 or any(p.replicas > 1 for p in topology.processes)
    if apart and topology.engines.nats is None:
        yield (
            "Several processes or replicas need an engine nats to talk through: "
            'write nats = "embedded" or nats = "nats://…" below [engines].'
        )


def _entrance(topology: Topology, modules: Collection[str]) -> Iterator[str]:
    """What the gateway is told must be about modules that are there, and paths that are free."""
    gateway = topology.gateway
    for name in ("tls", "canary", "mirror", "legacy"):
        if getattr(gateway, name) and topology.engines.gateway is None:
            yield f'[gateway.{name}] needs a gateway: write gateway = "embedded" below [engines].'
    for name, shares in (("canary", gateway.canary), ("mirror", gateway.mirror)):
        for module in shares:
            if module not in modules:
                yield f"[gateway.{name}] there is no module {unknown(module, modules)}"
    for process in topology.processes:
        yield from _versions(gateway, process.name, topology.modules_of(process, modules))
    yield from _prefixes([one.prefix for one in gateway.legacy])


def _prefixes(prefixes: Sequence[str]) -> Iterator[str]:
    for prefix in dict.fromkeys(prefixes):
        if prefixes.count(prefix) > 1:
            yield f"[gateway.legacy] prefix {prefix!r} is given twice: leave it in one of them."
        for ours in _OURS:
            if prefix == ours or prefix.startswith(f"{ours}/"):
                yield f"[gateway.legacy] prefix {prefix!r} lies in {ours}, ours: choose another."


def _versions(gateway: Gateway, process: str, hosted: Collection[str]) -> Iterator[str]:
    """A replica has one version, whatever it hosts: it is a canary, or looks into the mirror."""
    canaries = {gateway.canary[module].version for module in hosted if module in gateway.canary}
    mirrors = {gateway.mirror[module].version for module in hosted if module in gateway.mirror}
    for name, versions in (("canary", canaries), ("mirror", mirrors)):
        if len(versions) > 1:
            told = " and ".join(sorted(versions))
            yield f"[gateway.{name}] names {told} for modules of [process.{process}]: choose one."
    for version in canaries & mirrors:
        yield (
            f"[gateway.mirror] {version} of [process.{process}] is its canary, too: "
            "what is shown to a mirror must have answered nobody; choose another version."
        )


def _circles(needs: Mapping[str, Collection[str]]) -> Iterator[str]:
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as found:
        circle = " → ".join(reversed(found.args[1]))
        yield f"Modules ask each other in a circle, {circle}: let one of them listen to an event."
