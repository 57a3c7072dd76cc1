"""What `banyan render` writes: files that people read and other programs obey. YAML's home."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from banyan.engines import compose, kubernetes
from banyan.engines.authority import Authority
from banyan.engines.container import NATS, nats_configuration
from banyan.engines.nats import OPERATOR
from banyan.kernel.app import House
from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import EMBEDDED, Topology

Kind = Literal["kubernetes", "compose", "envoy", "nats", "certificates"]

_WIDTH = 100


def render(kind: Kind, house: House, topology: Topology, text: str) -> dict[str, str]:
    """Write what somebody else needs to run the shop, by name of file.

    `text` is the topology as it was read.
    """
    match kind:
        case "kubernetes":
            told = kubernetes.render(house, topology, text)
            return {f"{name}.yaml": as_yaml(objects) for name, objects in told.items()}
        case "compose":
            files = {"compose.yaml": as_yaml([compose.render(house, topology)])}
            files["topology.toml"] = text
            if topology.engines.nats == EMBEDDED:
                files |= render("nats", house, topology, text)
            if topology.engines.gateway:
                files |= render("envoy", house, topology, text)
            return files
        case "envoy":
            _ask_for("gateway", topology.engines.gateway)
            return {"envoy.yaml": as_yaml([compose.envoy(house, topology)])}
        case "nats":
            _ask_for("nats", topology.engines.nats)
            return {"nats.conf": nats_configuration(house, topology, monitoring="127.0.0.1")}
        case "certificates":
            raise Misconfigured("Certificates are files with keys: name a folder with --out.")


def write(kind: Kind, house: House, topology: Topology, text: str, folder: Path) -> list[Path]:
    """Write the files into a folder, and tell which."""
    if kind == "certificates":
        return _certify(topology, folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, told in render(kind, house, topology, text).items():
        (folder / name).write_text(told, encoding="utf-8")
        written.append(folder / name)
    return written


def one_text(kind: Kind, house: House, topology: Topology, text: str) -> str:
    """Write everything as one text, where it makes sense as one."""
    files = render(kind, house, topology, text)
    if len({Path(name).suffix for name in files}) > 1:
        raise Misconfigured(
            f"{' and '.join(files)} are files of their own: name a folder with --out."
        )
    return "---\n".join(files.values())


def as_yaml(documents: Iterable[Any]) -> str:
    """Write documents as people do: texts in blocks, nothing abbreviated, in the order given."""
    return yaml.dump_all(
        msgspec.to_builtins(documents),
        Dumper=_Plain,
        sort_keys=False,
        width=_WIDTH,
        allow_unicode=True,
    )


def _certify(topology: Topology, folder: Path) -> list[Path]:
    """Make the authority of a shop, and a certificate for everybody on its broker."""
    authority = Authority(folder)
    shown = [authority.certificate(NATS, serves=(NATS, "localhost", "127.0.0.1"))]
    names = [OPERATOR, *(process.name for process in topology.processes)]
    shown += [authority.certificate(name) for name in names]
    return [one.certificate for one in shown]


def _ask_for(engine: str, told: str | None) -> None:
    if told is None:
        raise Misconfigured(
            f'This topology has no {engine}: write {engine} = "embedded" below [engines].'
        )


class _Plain(yaml.SafeDumper):
    """A dumper that writes everything out, however often it occurs."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - it asks for each
        return True


def _in_block(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Plain.add_representer(str, _in_block)
