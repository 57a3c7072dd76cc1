"""The replicas behind the gateway: pools of them, and the files that tell who is in each."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from banyan.kernel.contract import Value
from banyan.kernel.topology import Process, Topology

Json = dict[str, Any]

_ASSIGNMENT = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
_PROTOCOL = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# As long as one of the first tier is left it does all of the work; the second is for after that.
_NO_SPILLING = 100_000


class Endpoint(Value):
    """Where a replica answers, and the version that it announces."""

    port: int
    host: str = "127.0.0.1"
    version: str = ""


class Versions(Value):
    """The versions of a process that are treated apart: its canary, and its mirror image."""

    canary: str | None = None
    mirror: str | None = None


def versions_of(topology: Topology, process: Process, modules: Iterable[str]) -> Versions:
    """Tell which versions of a process the topology treats apart; a replica has one version."""
    hosted = topology.modules_of(process, modules)
    canaries = [one.version for name, one in topology.gateway.canary.items() if name in hosted]
    mirrors = [one.version for name, one in topology.gateway.mirror.items() if name in hosted]
    return Versions(canary=next(iter(canaries), None), mirror=next(iter(mirrors), None))


def pool(process: str, version: str | None = None) -> str:
    """Name the replicas of a process: the ordinary ones, or those of a version apart."""
    return f"{process}@{version}" if version else process


class Endpoints:
    """The files from which the gateway learns where replicas are, while it runs."""

    def __init__(self, folder: Path, versions: Mapping[str, Versions]) -> None:
        self._folder = folder
        self._versions = versions

    def write(self, found: Mapping[str, Collection[Endpoint]]) -> None:
        """Tell where the replicas of every process are; who is not named is not asked any more."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for process, versions in self._versions.items():
            for name, tiers in _pools(process, versions, found.get(process, ())).items():
                self._replace(f"{name}.json", msgspec.json.encode(_assignment(name, tiers)))

    def clusters(self) -> list[Json]:
        """Configure every pool: how its replicas are found, watched and spared."""
        return [
            _cluster(name, self._folder / f"{name}.json")
            for process, versions in self._versions.items()
            for name in _pools(process, versions, ())
        ]

    def _replace(self, name: str, content: bytes) -> None:
        """Put a file in the place of another at once: it is read whenever it is renamed."""
        file = self._folder / name
        if file.exists() and file.read_bytes() == content:
            return
        fresh = file.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(file)


def _pools(
    process: str, versions: Versions, found: Collection[Endpoint]
) -> dict[str, Sequence[Sequence[Endpoint]]]:
    """Share out replicas; where none of a pool's own is left, others answer in their place.

    Nobody's answer comes from the mirror's side of the glass.
    """
    canaries = [one for one in found if one.version == versions.canary]
    mirrored = [one for one in found if one.version == versions.mirror]
    ordinary = [one for one in found if one not in canaries and one not in mirrored]
    pools: dict[str, Sequence[Sequence[Endpoint]]] = {pool(process): (ordinary, canaries)}
    if versions.canary:
        pools[pool(process, versions.canary)] = (canaries, ordinary)
    if versions.mirror:
        pools[pool(process, versions.mirror)] = (mirrored,)
    return pools


def _assignment(name: str, tiers: Sequence[Sequence[Endpoint]]) -> Json:
    manned = [tier for tier in tiers if tier]
    return {
        "resources": [
            {
                "@type": _ASSIGNMENT,
                "cluster_name": name,
                "policy": {"overprovisioning_factor": _NO_SPILLING},
                "endpoints": [
                    {
                        "priority": priority,
                        "lb_endpoints": [
                            {"endpoint": {"address": socket_address(one.host, one.port)}}
                            for one in tier
                        ],
                    }
                    for priority, tier in enumerate(manned)
                ],
            }
        ]
    }


def socket_address(host: str, port: int) -> Json:
    """Spell an address as Envoy does."""
    return {"socket_address": {"address": host, "port_value": port}}


def _cluster(name: str, file: Path) -> Json:
    return {
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {
            "eds_config": {
                "path_config_source": {"path": str(file)},
                "resource_api_version": "V3",
            }
        },
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        # Where nobody is ready, the processes themselves say best why.
        "common_lb_config": {"healthy_panic_threshold": {"value": 1}},
        # Who has left the registry gets no more work, well as he may be.
        "ignore_health_on_host_removal": True,
        "health_checks": [
            {
                "http_health_check": {
                    "path": "/health/ready",
                    "retriable_statuses": [{"start": 500, "end": 600}],
                },
                "timeout": "2s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "interval_jitter": "0.1s",
                "unhealthy_interval": "0.5s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }
        ],
        # One of several that keeps failing rests for a while; the last half is never sent away.
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 5,
            "consecutive_gateway_failure": 10,
            "enforcing_consecutive_gateway_failure": 100,
            "consecutive_5xx": 20,
            "enforcing_success_rate": 0,
            "enforcing_local_origin_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "5s",
            "max_ejection_percent": 50,
        },
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1000,
                    "max_pending_requests": 1000,
                    "max_requests": 1000,
                    # A replica of two takes half of what is under way with it when it dies.
                    "retry_budget": {"budget_percent": {"value": 50}, "min_retry_concurrency": 50},
                }
            ]
        },
        # The processes close a silent connection after 30 seconds: we are always the first to.
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _PROTOCOL,
                "common_http_protocol_options": {"idle_timeout": "20s"},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }
