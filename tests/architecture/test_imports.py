"""The import contracts of pyproject.toml: kept by the house, and broken by every violation."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {c["name"]: c for c in PYPROJECT["tool"]["importlinter"]["contracts"]}
FOREIGN = CONTRACTS["A foreign library is spoken to at home"]["forbidden_modules"]

# Pure libraries, at home everywhere: they know values, text and money, and do nothing themselves.
PURE = {"babel", "jinja2", "msgspec", "nh3"}

# What two modules, a plugin and a channel would do, if they existed, to break every contract.
PLANTED = {
    "The house stands on the kernel": (
        ("banyan.vocabulary", "banyan.modules.apple.contract"),
        ("banyan.modules.apple.sagas", "banyan.plugins.worm.plugin"),
        ("banyan.plugins.worm.plugin", "banyan.channels.stall.app"),
    ),
    "The kernel knows nobody": (
        ("banyan.kernel.planted", "banyan.vocabulary"),
        ("banyan.kernel.planted", "banyan.engines.planted"),
    ),
    "Engines know the kernel only": (("banyan.engines.planted", "banyan.modules.apple.contract"),),
    "The command line knows the kernel and the engines only": (
        ("banyan.cli", "banyan.vocabulary"),
        ("banyan.cli", "banyan.modules.apple.contract"),
    ),
    "A module is entered by its front door only": (
        ("banyan.modules.apple.service", "banyan.modules.pear.model"),
        ("banyan.modules.apple.sagas", "banyan.modules.pear.store"),
    ),
    "Front doors do not lean on each other": (
        ("banyan.modules.apple.contract", "banyan.modules.pear.contract"),
    ),
    "From outside, a module is its contract": (
        ("banyan.plugins.worm.plugin", "banyan.modules.apple.service"),
        ("banyan.channels.stall.app", "banyan.modules.apple.model"),
    ),
    "Channels stand apart": (
        ("banyan.channels.stall.app", "banyan.channels.storefront.desk"),
        ("banyan.channels.look", "banyan.channels.stall.app"),
    ),
    "Ports are filled by plugins": (("banyan.channels.stall.app", "banyan.modules.apple.ports"),),
    "Inside a module, imports go down": (
        ("banyan.modules.pear.model", "banyan.modules.pear.store"),
        ("banyan.modules.pear.http", "banyan.modules.pear.reactions"),
    ),
    "HTTP speaks to contracts, never to a service": (
        ("banyan.modules.apple.http", "banyan.modules.apple.service"),
        ("banyan.modules.apple.http", "banyan.modules.pear.model"),
    ),
    "Rules think and do nothing else": (
        ("banyan.modules.apple.model", "banyan.kernel.database"),
        ("banyan.modules.apple.model", "random"),
    ),
    "A foreign library is spoken to at home": tuple(
        ("banyan.modules.apple.store", library) for library in FOREIGN
    ),
}
IMPORTS = [(name, *edge) for name, edges in PLANTED.items() for edge in edges]
STRANGERS = [
    ("The house stands on the kernel", "banyan.attic"),
    ("Inside a module, imports go down", "banyan.modules.apple.attic"),
]


def lint(source: Path) -> tuple[int, str]:
    """Check the import contracts over a tree, from its own folder: the linter looks there first."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--no-cache",
            "--no-logo",
            f"--config={ROOT / 'pyproject.toml'}",
        ],
        cwd=source,
        env={"COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """Say what the linter finds in a copy of the house with every violation planted in it."""
    source = tmp_path_factory.mktemp("planted") / "src"
    shutil.copytree(ROOT / "src", source)
    for _, importer, imported in IMPORTS:
        plant(source, importer, f"import {imported}\n")
        if imported.startswith("banyan."):
            plant(source, imported, "")
    for _, stranger in STRANGERS:
        plant(source, stranger, "")

    status, output = lint(source)

    assert status == 1, output
    titles = re.split(r"^(.+)\n-+\n", output.partition("Broken contracts")[2], flags=re.MULTILINE)
    return dict(zip(titles[1::2], titles[2::2], strict=True))


def plant(source: Path, module: str, text: str) -> None:
    """Put text at the end of a module, and make the module and its packages where they lack."""
    file = source.joinpath(*module.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True, exist_ok=True)
    for package in file.relative_to(source).parents[:-1]:
        (source / package / "__init__.py").touch()
    with file.open("a") as end:
        end.write(text)


def test_the_house_keeps_every_contract() -> None:
    status, output = lint(ROOT / "src")

    assert status == 0, output


@pytest.mark.parametrize(("contract", "importer", "imported"), IMPORTS)
def test_a_forbidden_import_breaks_its_contract(
    report: Mapping[str, str], contract: str, importer: str, imported: str
) -> None:
    assert f"{importer} -> {imported} (" in report[contract]


@pytest.mark.parametrize(("contract", "stranger"), STRANGERS)
def test_a_file_outside_the_plan_breaks_its_contract(
    report: Mapping[str, str], contract: str, stranger: str
) -> None:
    assert f"- {stranger}\n" in report[contract]


def test_every_contract_has_a_violation_planted() -> None:
    assert set(PLANTED) == set(CONTRACTS)


def test_every_dependency_has_a_home() -> None:
    wanted = {re.split(r"[ ;]", line)[0] for line in PYPROJECT["project"]["dependencies"]}

    homeless = {
        f"{package} ({distribution})"
        for package, distributions in packages_distributions().items()
        for distribution in distributions
        if distribution.lower().replace("_", "-") in wanted
        and package not in {*FOREIGN, *PURE}
        and not package.startswith("_")
    }

    assert not homeless
