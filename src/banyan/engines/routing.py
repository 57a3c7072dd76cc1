"""Which path leads to which process, as routes of an Envoy: read from what the parts declare."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from banyan.engines.endpoints import Json, pool
from banyan.kernel.app import House
from banyan.kernel.contract import Value
from banyan.kernel.entrance import Legacy, Percent
from banyan.kernel.module import Plugin
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import EVERYTHING_ELSE, Topology

HIDDEN = "/metrics"
READY = "/health/ready"
LIVE = "/health/live"

# What every process answers for the whole shop, and what is ours though nobody answers there.
_ANYBODY = ("/api", "/docs", "/health", "/openapi.json", "/problems")
_PARAMETER = re.compile(r"\{[^}]*?(?P<deep>:path)?\}")
_BACK_OFF = {"base_interval": "0.025s", "max_interval": "0.25s"}
_ELSEWHERE = {
    "num_retries": 2,
    "retry_back_off": _BACK_OFF,
    "retry_host_predicate": [
        {
            "name": "envoy.retry_host_predicates.previous_hosts",
            "typed_config": {
                "@type": "type.googleapis.com/"
                "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
            },
        }
    ],
    # Replicas are drawn by lot: one that has failed may be drawn again, but not ten times.
    "host_selection_retry_max_attempts": 10,
}
# What may be done twice is tried again whatever went wrong; all else only if nobody has heard it.
_AGAIN = {
    "retry_on": "connect-failure,refused-stream,reset,retriable-status-codes",
    "retriable_status_codes": [503],
    **_ELSEWHERE,
}
_UNHEARD = {"retry_on": "connect-failure,refused-stream,reset-before-request", **_ELSEWHERE}
_READING, _REPLACING, _POSTING = (
    {"name": ":method", "string_match": {"safe_regex": {"regex": names}}}
    for names in ("GET|HEAD", "PUT|DELETE", "POST")
)
# An older system has its own idea of how large a body may be.
_UNBUFFERED = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.buffer.v3.BufferPerRoute",
    "disabled": True,
}


class Face(Value):
    """What one part of the house shows: the path templates at which a process answers for it."""

    process: str
    part: str
    paths: tuple[str, ...]


class Share(Value):
    """A share of the requests to a part, in percent, and the pool that it concerns."""

    pool: str
    percent: Percent


class Way(Value):
    """Some paths and who answers there, with the shares of it that go elsewhere or are mirrored."""

    name: str
    match: Mapping[str, Any]
    pool: str
    canary: Share | None = None
    mirror: Share | None = None
    legacy: bool = False


def faces(house: House, topology: Topology) -> list[Face]:
    """Tell what each process shows: its modules, the plugins that fill their ports, channels.

    A plugin that fills no port is shown where everything is that nobody named.
    """
    modules = [module.name for module in house.modules]
    channels = [channel.name for channel in house.channels]
    at = {
        name: process.name
        for process in topology.processes
        for name in topology.modules_of(process, modules)
    }
    found = [Face(process=at[m.name], part=m.name, paths=paths(m.routes)) for m in house.modules]
    for plugin in house.plugins:
        home = at.get(_module_of(plugin, house), rest(topology))
        found.append(Face(process=home, part=plugin.name, paths=paths(plugin.routes)))
    for process in topology.processes:
        shown = topology.channels_of(process, channels)
        found += [
            Face(process=process.name, part=channel.name, paths=paths(channel.routes))
            for channel in house.channels
            if channel.name in shown
        ]
    return found


def rest(topology: Topology) -> str:
    """Name the process that answers for whatever has no home of its own."""
    return next(
        (one.name for one in topology.processes if EVERYTHING_ELSE in one.modules),
        topology.processes[0].name,
    )


def paths(routes: Iterable[Any]) -> tuple[str, ...]:
    """List the path templates of controllers and of handlers that stand alone."""
    found = set[str]()
    for route in routes:
        alone = not inspect.isclass(route)
        handlers = [route] if alone else [one for _, one in inspect.getmembers(route, _answers)]
        for handler in handlers:
            before = "" if alone else route.path
            found |= {
                f"{before.rstrip('/')}/{path.strip('/')}".rstrip("/") or "/"
                for path in handler.paths
            }
    return tuple(sorted(found))


def ways(shown: Iterable[Face], topology: Topology) -> list[Way]:
    """Lead every path to whoever answers there, the most particular first.

    What has the same beginning mostly has the same home; only where it has not, whole templates
    are compared.
    """
    alike: dict[str, dict[tuple[str, str], list[str]]] = {}
    for face in shown:
        for path in face.paths:
            homes = alike.setdefault(_beginning(path), {})
            homes.setdefault((face.process, face.part), []).append(path)
    found: list[tuple[tuple[int, int], Way]] = []
    for beginning, homes in alike.items():
        whole = len(homes) > 1 or beginning == "/"
        _refuse_two_homes(homes)
        for (process, part), templates in homes.items():
            for path in templates if whole else [beginning]:
                match = _template(path) if whole else {"path_separated_prefix": beginning}
                depth = path.count("/") if whole else 0
                found.append(((len(beginning), depth), _way(path, match, process, part, topology)))
    found.sort(key=lambda one: one[0], reverse=True)
    return [*(way for _, way in found), *_left(topology)]


def routes(found: Iterable[Way], *, seconds: int) -> list[Json]:
    """Spell out how each way is taken, by what may be done twice and what must not."""
    return [route for way in found for route in _routes(way, seconds)]


def _routes(way: Way, seconds: int) -> Iterator[Json]:
    for headers, policy in _manners(way, seconds):
        action: Json = {**_target(way), "timeout": f"{seconds}s", "retry_policy": policy}
        if way.mirror and _READING in headers:
            action["request_mirror_policies"] = [_mirrored(way.mirror)]
        match = {**way.match, "headers": headers}
        route: Json = {"name": way.name, "match": match, "route": action}
        if way.legacy:
            action["auto_host_rewrite"] = True
            route["typed_per_filter_config"] = {"envoy.filters.http.buffer": _UNBUFFERED}
        yield route


def _manners(way: Way, seconds: int) -> Iterator[tuple[list[Json], Json]]:
    """Tell by which headers a request is known that may be tried so often."""
    yield [_READING], {**_AGAIN, "per_try_timeout": f"{seconds * 0.4:g}s"}
    yield [_REPLACING], _AGAIN
    if not way.legacy:  # An older system may not know what a key means.
        yield [_POSTING, {"name": "idempotency-key", "present_match": True}], _AGAIN
    yield [], _UNHEARD


def _target(way: Way) -> Json:
    if way.canary is None:
        return {"cluster": way.pool}
    shares = [(way.pool, 100 - way.canary.percent), (way.canary.pool, way.canary.percent)]
    return {
        "weighted_clusters": {
            "clusters": [{"name": name, "weight": weight} for name, weight in shares]
        }
    }


def _mirrored(share: Share) -> Json:
    portion = {"numerator": share.percent, "denominator": "HUNDRED"}
    return {"cluster": share.pool, "runtime_fraction": {"default_value": portion}}


def _way(name: str, match: Json, process: str, part: str, topology: Topology) -> Way:
    canary = topology.gateway.canary.get(part)
    mirror = topology.gateway.mirror.get(part)
    return Way(
        name=name,
        match=match,
        pool=pool(process),
        canary=_share(process, canary.version, canary.weight) if canary else None,
        mirror=_share(process, mirror.version, mirror.percent) if mirror else None,
    )


def _refuse_two_homes(homes: Mapping[tuple[str, str], Sequence[str]]) -> None:
    """One path leads to one process, whatever is done there: its parts must live together."""
    seen: dict[str, tuple[str, str]] = {}
    for home, templates in homes.items():
        for path in templates:
            first = seen.setdefault(path, home)
            if first[0] != home[0]:
                raise Misconfigured(
                    f"{path} is answered by {first[1]} in [process.{first[0]}] and by {home[1]} in "
                    f"[process.{home[0]}]: let one process host both."
                )


def _share(process: str, version: str, percent: int) -> Share:
    return Share(pool=pool(process, version), percent=percent)


def _left(topology: Topology) -> Iterator[Way]:
    """Lead what nobody declared to an older system, or to whoever can say that it is not there."""
    nobody = pool(rest(topology))
    for path in _ANYBODY:
        yield Way(name=path, match={"path_separated_prefix": path}, pool=nobody)
    prefixes = sorted(topology.gateway.legacy, key=lambda one: len(one.prefix), reverse=True)
    for one in prefixes:
        match = {"prefix": "/"} if one.prefix == "/" else {"path_separated_prefix": one.prefix}
        yield Way(name=one.prefix, match=match, pool=legacy_pool(one), legacy=True)
    yield Way(name="/", match={"prefix": "/"}, pool=nobody)


def legacy_pool(one: Legacy) -> str:
    """Name the older system behind a prefix."""
    return f"legacy {one.prefix}"


def _beginning(template: str) -> str:
    """The part of a template before its first parameter."""
    return _PARAMETER.split(template, maxsplit=1)[0].rstrip("/") or "/"


def _template(template: str) -> Json:
    if template == "/":
        return {"path": "/"}
    pattern, end = "", 0
    for parameter in _PARAMETER.finditer(template):
        pattern += re.escape(template[end : parameter.start()])
        pattern += ".+" if parameter["deep"] else "[^/]+"
        end = parameter.end()
    return {"safe_regex": {"regex": f"{pattern}{re.escape(template[end:])}/?"}}


def _answers(member: object) -> bool:
    return hasattr(member, "http_methods")


def _module_of(plugin: Plugin, house: House) -> str:
    """Name the module whose port a plugin fills: they stand in one package."""
    packages = {
        protocol.__module__.rpartition(".")[0]: module.name
        for module in house.modules
        for protocol in module.offers
    }
    homes = [packages.get(port.__module__.rpartition(".")[0], "") for port in plugin.fills]
    return next(iter(homes), "")
