"""A process that somebody else starts: named in a topology, and left alone."""

from pathlib import Path

import pytest

from banyan.kernel.settings import Misconfigured
from banyan.kernel.topology import check, read

MODULES = {"catalog", "ordering", "payments"}
NATS = '[engines]\nnats = "embedded"\n'
REST = '[process.rest]\nmodules = ["*"]\n'


def write(folder: Path, text: str) -> Path:
    file = folder / "topology.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_its_modules_have_their_home_there(tmp_path: Path) -> None:
    other = '[process.other]\nmodules = ["payments"]\nexternal = true\n'
    topology = read(write(tmp_path, NATS + other + REST))

    check(topology, modules=MODULES, channels=(), needs={})

    assert topology.modules_of(topology.process("rest"), MODULES) == MODULES - {"payments"}
    assert {one.name: one.external for one in topology.processes} == {"other": True, "rest": False}


@pytest.mark.parametrize(
    "hosts",
    [
        'modules = ["*"]',
        'modules = ["payments"]\nreplicas = 2',
        'modules = ["payments"]\nchannels = ["storefront"]',
    ],
)
def test_it_serves_modules_by_name_and_nothing_else(hosts: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"process\.other.*external: goes with modules by name"):
        read(write(tmp_path, f"{NATS}[process.other]\nexternal = true\n{hosts}\n"))
