"""Where code runs: which process hosts which modules, and which engines stand between them."""

import graphlib
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from banyan.kernel import entrance
from banyan.kernel.contract import Value
from banyan.kernel.entrance import Gateway
from banyan.kernel.settings import Misconfigured, Settings, settle, tables, unknown

EMBEDDED: Literal["embedded"] = "embedded"
EVERYTHING_ELSE = "*"

_DEFAULT = "default"
_POSTGRES = ("postgres://", "postgresql://")
_NATS = ("nats://", "tls://")
_TABLES = ("engines", "gateway", "process", "settings")
_ENGINES = ("ca", "gateway", "nats", "operator", "postgres")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class Engines(Settings):
    """What stands beside the processes: started by us ("embedded"), or found at an address."""

    postgres: str | dict[str, str] = EMBEDDED
    replica: str | dict[str, str] | None = None
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

        for whose, copy in self._replicas().items():
            if copy != EMBEDDED and not copy.startswith(_POSTGRES):
                raise ValueError(
                    f'replica: that of {whose} is neither "embedded" nor postgres://….'
                )
            if copy == EMBEDDED and servers.get(whose, servers[_DEFAULT]) != EMBEDDED:
                raise ValueError(
                    f'replica: that of {whose} cannot be "embedded", as its server is not; '
                    'write "postgres://…".'
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

    def replica_of(self, module: str) -> str | None:
        """Tell where a copy of a module's data may be read: "embedded", a DSN, or nowhere."""
        replicas = self._replicas()
        # A copy for all others is one of their server.
        for_others = None if module in self.with_own_database() else replicas.get(_DEFAULT)
        return replicas.get(module, for_others)

    def with_own_replica(self) -> frozenset[str]:
        """List the modules for which a replica is named."""
        return frozenset(self._replicas()) - {_DEFAULT}

    @property
    def embeds_replica(self) -> bool:
        """Tell whether a copy of the embedded server is ours to start, too."""
        return EMBEDDED in self._replicas().values()

    def _replicas(self) -> Mapping[str, str]:
        if isinstance(self.replica, str):
            return {_DEFAULT: self.replica}
        return self.replica or {}

    def _servers(self) -> Mapping[str, str]:
        return {_DEFAULT: self.postgres} if isinstance(self.postgres, str) else self.postgres


class Hosting(Settings):
    """What one process hosts, by name; `*` stands for whatever no process names.

    Where it is external, somebody else starts a program that serves these modules.
    """

    modules: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    replicas: Annotated[int, msgspec.Meta(ge=1)] = 1
    external: bool = False

    def __post_init__(self) -> None:
        ours = self.channels or self.replicas > 1 or EVERYTHING_ELSE in self.modules
        if self.external and ours:
            raise ValueError(
                'external: goes with modules by name, such as modules = ["catalog"], and with '
                "nothing else; whoever starts the program decides the rest."
            )


class Process(Value):
    """A process, and what it hosts."""

    name: str
    modules: tuple[str, ...]
    channels: tuple[str, ...]
    replicas: int = 1
    external: bool = False


class Topology(Value):
    """The one thing in which a monolith and its microservices differ."""

    engines: Engines
    processes: tuple[Process, ...]
    settings: Mapping[str, Any]
    gateway: Gateway = Gateway()

    @property
    def proxies(self) -> int:
        """Count those before a process that are believed how a client came to them."""
        return self.gateway.trusted_hops + (self.engines.gateway is not None)

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
    hostings = tables(document, "process")
    return Topology(
        engines=settle(Engines, "engines", document.get("engines", {}), environment or {}),
        processes=tuple(_process(name, told) for name, told in hostings.items())
        or default.processes,
        settings=tables(document, "settings"),
        gateway=entrance.read(document.get("gateway", {})),
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
        *entrance.flaws(
            topology.gateway,
            present=topology.engines.gateway is not None,
            hosts={p.name: topology.modules_of(p, modules) for p in topology.processes},
            modules=modules,
        ),
        *_circles(needs),
    ]
    if complaints:
        raise Misconfigured(*complaints)


def hints(topology: Topology) -> Iterator[str]:
    """Tell what can work, but perhaps not as it was meant."""
    if len(topology.processes) > 1 and topology.engines.gateway is None:
        yield (
            "There is no one entrance: each replica answers at a port of its own, "
            'unless you write gateway = "embedded" below [engines].'
        )


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


def _process(name: str, told: object) -> Process:
    if not _HOST.fullmatch(name):
        raise Misconfigured(
            f"[process.{name}] is also the name of a host: use at most 63 of a-z, 0-9 and, "
            "within it, hyphens."
        )
    if name in _ENGINES:
        raise Misconfigured(f"[process.{name}] has the name of an engine of ours: choose another.")
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
    engines = topology.engines
    for engine, apart in (
        ("postgres", engines.with_own_database()),
        ("replica", engines.with_own_replica()),
    ):
        for name in apart:
            if name not in modules:
                yield f"[engines] {engine}: there is no module {unknown(name, modules)}"


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
    elif topology.engines.gateway and topology.engines.nats is None:
        yield (
            "A gateway learns from nats where processes are: "
            'write nats = "embedded" below [engines], or leave gateway out.'
        )


def _circles(needs: Mapping[str, Collection[str]]) -> Iterator[str]:
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as found:
        circle = " → ".join(reversed(found.args[1]))
        yield f"Modules ask each other in a circle, {circle}: let one of them listen to an event."
