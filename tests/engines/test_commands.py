"""What the command line tells of a topology without running it."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

import pytest
import yaml

from banyan import cli

MICROSERVICES = Path(__file__).parents[2] / "topology" / "microservices.toml"

MOST_MODULES = 400
"""Of Python, of libraries and of the house, of which the whole has twice as many."""

TWICE = """
[engines]
nats = "embedded"
[process.a]
modules = ["*", "catalog"]
[process.b]
modules = ["catalog"]
"""


FORK = multiprocessing.get_context("fork")


class Told(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int | None
    stdout: str


def banyan(*arguments: str, **more: str) -> Told:
    """Run a command in a process of its own that need not load the house again."""
    with NamedTemporaryFile("w+") as said:

        def run() -> None:
            sys.argv, sys.stdout = ["banyan", *arguments], said
            for name, value in more.items():
                pytest.MonkeyPatch().setenv(name, value)
            cli.main()

        process = FORK.Process(target=run)
        process.start()
        process.join(30)
        said.seek(0)
        return Told(process.exitcode, said.read())


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "topology.toml"
    file.write_text(text)
    checked = banyan("check", "--topology", str(file))
    assert checked.returncode == 1
    return checked.stdout


def test_manifests_go_to_standard_output_or_into_a_folder(tmp_path: Path) -> None:
    # What the operator's shell knows is none of the manifests' business.
    told = {"BANYAN_ENGINES_POSTGRES": "postgresql://admin:secret@far/shop"}
    shown = banyan("render", "kubernetes", "--topology", str(MICROSERVICES), **told)
    written = banyan(
        "render", "kubernetes", "--topology", str(MICROSERVICES), "--out", str(tmp_path), **told
    )

    assert (shown.returncode, written.returncode) == (0, 0), shown.stdout + written.stdout
    documents = list(yaml.safe_load_all(shown.stdout))
    files = [Path(line) for line in written.stdout.splitlines()]
    assert [one for file in files for one in yaml.safe_load_all(file.read_text())] == documents
    assert {"shop.yaml", "migrate.yaml", "catalog.yaml"} <= {file.name for file in files}
    assert "secret@" not in shown.stdout


def test_the_graph_is_shown_as_text_and_as_mermaid() -> None:
    text = banyan("graph", "--topology", str(MICROSERVICES)).stdout
    drawn = banyan("graph", "--topology", str(MICROSERVICES), "--format", "mermaid").stdout

    assert "process catalog × 2\n  catalog\n" in text
    assert "    hears ordering: OrderConfirmed\n" in text
    assert drawn.startswith("flowchart LR\n")
    assert '    module_ordering -. "OrderConfirmed" .-> module_notifications\n' in drawn


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            TWICE,
            "catalog is hosted twice, in [process.a] and [process.b]: leave it in one of them.",
        ),
        ("[process.a]\nmodules = ['catalog']", "hosted nowhere: name it in a process"),
        ("[process.a]\nmodules = ['*', 'catlog']", "did you mean 'catalog'?"),
        ("[process.a]\nmodules = ['*']\nreplicas = 2", 'write nats = "embedded"'),
        ("[engines]\ngateway = 'embedded'", "or leave gateway out"),
    ],
)
def test_a_topology_that_cannot_work_is_refused_with_what_to_change(
    tmp_path: Path, text: str, complaint: str
) -> None:
    assert complaint in refused(tmp_path, text)


def test_several_processes_without_a_gateway_are_sound_with_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "topology.toml"
    file.write_text(
        "[engines]\nnats = 'embedded'\n"
        "[process.a]\nmodules = ['catalog']\n[process.b]\nmodules = ['*']\nchannels = ['*']"
    )

    checked = banyan("check", "--topology", str(file))
    whole = banyan("check", "--topology", str(MICROSERVICES))

    assert checked.returncode == 0
    assert "hint: There is no one entrance" in checked.stdout
    assert whole.stdout == "the topology is sound\n"


@pytest.mark.parametrize("command", [["status"], ["scale", "catalog=2"], ["restart", "catalog"]])
def test_who_looks_after_a_running_shop_does_not_load_the_house(
    tmp_path: Path, command: list[str]
) -> None:
    script = (
        "import atexit, sys\n"
        "from banyan.cli import main\n"
        "atexit.register(lambda: print('loaded', *sorted(sys.modules)))\n"
        "main()\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", script, *command, "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout

    loaded = set(told[told.index("loaded") :].split())
    assert "no shop runs in" in told
    assert {"banyan.cli", "banyan.engines.control"} <= loaded
    assert not {one.partition(".")[0] for one in loaded} & {"litestar", "asyncpg", "nats", "httpx"}
    assert not [one for one in loaded if one.startswith(("banyan.modules", "banyan.plugins"))]
    assert len(loaded) < MOST_MODULES
