"""Manifests as they are rendered from a topology, and how tests look into them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from banyan.engines import kubernetes
from banyan.kernel.app import discover
from banyan.kernel.topology import Topology, read

TOPOLOGY = Path(__file__).parents[2] / "topology"
Json = dict[str, Any]


def text_of(name: str, more: str = "") -> str:
    return (TOPOLOGY / f"{name}.toml").read_text() + more


def rendered(folder: Path, text: str) -> dict[str, list[Json]]:
    return kubernetes.render(discover(), topology(folder, text), text)


def topology(folder: Path, text: str) -> Topology:
    file = folder / "topology.toml"
    file.write_text(text)
    return read(file)


def objects(manifests: Mapping[str, list[Json]], kind: str) -> dict[str, Json]:
    """Find what is of a kind, by name."""
    return {
        one["metadata"]["name"]: one
        for listed in manifests.values()
        for one in listed
        if one["kind"] == kind
    }


def pods(manifests: Mapping[str, list[Json]]) -> Iterator[Json]:
    for kind in ("Deployment", "StatefulSet", "Job"):
        for one in objects(manifests, kind).values():
            yield one["spec"]["template"]


def variables(workload: Json) -> dict[str, Json]:
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one for one in container["env"]}


def filled(told: Mapping[str, Json]) -> dict[str, str]:
    """Fill in secrets, as Kubernetes does, and tell what engines there are."""
    return {
        name: re.sub(r"\$\((\w+)\)", r"postgresql://\1@far", one["value"])
        for name, one in told.items()
        if name.startswith("BANYAN_ENGINES_") and "value" in one
    }
