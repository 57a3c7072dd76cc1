"""The one entrance of a shop: how those who come are treated, and where they are led."""

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from banyan.kernel.settings import Misconfigured, Settings, settle, tables, unknown

_OURS = ("/api", "/docs", "/health", "/metrics", "/openapi.json", "/problems")
_PREFIX = re.compile(r"/|(/[\w.~-]+)+", re.ASCII)
_UPSTREAM = re.compile(r"https?://[\w.-]+(:\d{1,5})?", re.ASCII)

Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z.+-]{1,64}$")]
Often = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]


class Limits(Settings):
    """How often one client, known by its address, may ask: in the long run, and at once.

    The gateway counts, and where there is none, all workers of a process together; replicas that
    have no gateway before them count each for itself. Without this table nobody is limited: behind
    a storefront that asks for all its visitors, everybody has the same address.
    """

    requests_per_minute: Often = 600
    burst: Often = 100

    @property
    def policy(self) -> str:
        """Tell them as the field RateLimit-Policy does: so many requests in so many seconds."""
        seconds = math.ceil(60 * self.burst / self.requests_per_minute)
        return f'"client";q={self.burst};w={seconds}'


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

    `trusted_hops` counts the proxies before us whose word on a client is taken: its address, and
    whether it came by TLS.
    """

    trusted_hops: Annotated[int, msgspec.Meta(ge=0)] = 0
    timeout_seconds: Annotated[int, msgspec.Meta(ge=1)] = 12
    limits: Limits | None = None
    tls: Tls | None = None
    canary: Mapping[str, Canary] = {}
    mirror: Mapping[str, Mirror] = {}
    legacy: tuple[Legacy, ...] = ()


def read(told: object) -> Gateway:
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
            for module, table in tables(told, name, within="gateway.").items()
        }
    outer = {name: value for name, value in told.items() if name not in inner}
    return msgspec.structs.replace(settle(Gateway, "gateway", outer, {}), **inner)


def flaws(
    gateway: Gateway,
    *,
    present: bool,
    hosts: Mapping[str, Collection[str]],
    modules: Collection[str],
) -> Iterator[str]:
    """Tell what is not about a gateway and modules that are there, or about paths that are free.

    `hosts` says of each process which modules it hosts.
    """
    for name in ("tls", "canary", "mirror", "legacy"):
        if getattr(gateway, name) and not present:
            yield f'[gateway.{name}] needs a gateway: write gateway = "embedded" below [engines].'
    for name, shares in (("canary", gateway.canary), ("mirror", gateway.mirror)):
        for module in shares:
            if module not in modules:
                yield f"[gateway.{name}] there is no module {unknown(module, modules)}"
    for process, hosted in hosts.items():
        yield from _versions(gateway, process, hosted)
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
