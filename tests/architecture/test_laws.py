"""The laws of the tree: kept by the house, and broken by every violation."""

from pathlib import Path

import pytest

from tests.architecture import laws
from tests.architecture.laws import LAWS, REGISTRIES, Law

ROOT = Path(__file__).parents[2]
MODULE = "src/banyan/modules/apple"
KERNEL = "src/banyan/kernel"

PLANTED = [
    (laws.module_files_have_the_names_of_the_plan, f"{MODULE}/views.py", ""),
    (laws.module_files_have_the_names_of_the_plan, f"{MODULE}/migrations/first.py", ""),
    (laws.module_files_have_the_names_of_the_plan, f"{MODULE}/contract/carts.py", ""),
    (laws.module_files_have_the_names_of_the_plan, "src/banyan/modules/apple.py", ""),
    (laws.files_are_short, f"{MODULE}/service.py", "x = 1\n" * 401),
    (laws.names_say_something, "src/banyan/kernel/utils.py", ""),
    (laws.names_say_something, "tests/common/test_apple.py", ""),
    (laws.the_kernel_knows_no_business, f"{KERNEL}/link.py", "class UnknownSku: ..."),
    (laws.the_kernel_knows_no_business, f"{KERNEL}/link.py", "# as a checkout does"),
    (laws.the_kernel_knows_no_business, f"{KERNEL}/migrations/1.sql", "SELECT unit_prices"),
    (laws.public_things_are_documented, f"{KERNEL}/link.py", "def call(): ..."),
    (laws.public_things_are_documented, f"{KERNEL}/link.py", "class Link: ..."),
    (
        laws.public_things_are_documented,
        f"{KERNEL}/link.py",
        "class Link(Protocol):\n    'A way.'\n    async def call(self): ...",
    ),
    (laws.sql_stands_in_the_store, f"{MODULE}/service.py", "x = f'SELECT {1} FROM apples'"),
    (laws.only_constants_enter_sql, f"{MODULE}/store.py", "x = f'SELECT 1 WHERE kind = {kind}'"),
    (laws.rules_are_plain_functions, f"{MODULE}/model.py", "async def ripen(): ..."),
    (laws.rules_are_plain_functions, f"{MODULE}/model/trees.py", "async def ripen(): ..."),
    (laws.modules_leave_tasks_to_the_kernel, f"{MODULE}/service.py", "asyncio.create_task(x)"),
    (laws.modules_leave_tasks_to_the_kernel, f"{MODULE}/service.py", "def pick(**how): ..."),
    (
        laws.no_two_problems_share_a_name,
        f"{MODULE}/contract.py",
        "class Rotten(Problem, status=409): ...\n" * 2,
    ),
    *((laws.no_file_names_a_registry, "Makefile", f"https://{host}/") for host in REGISTRIES),
    (laws.locks_hold_no_address, "requirements/run.txt", "--index-url https://example.com"),
]

INNOCENT = {
    f"{MODULE}/__init__.py": "'''Apples.'''",
    f"{MODULE}/store.py": "'''SQL.'''\nx = f'SELECT {ALL} FROM {apple.TREES}'",
    f"{MODULE}/service.py": (
        "'''Answers.'''\n"
        "class AppleService(Apples):\n    'Apples.'\n    async def pick(self): 'SELECTED'"
    ),
    f"{MODULE}/model.py": "def ripe(apple):\n    'Tell.'",
    f"{MODULE}/migrations/1.sql": "CREATE TABLE apples ();",
    f"{MODULE}/migrations/2.sql": "",
    f"{MODULE}/service/trees.py": "",
    f"{KERNEL}/order.py": "'''Syntax in order; a byproduct, productive; PriceyTaxi.'''",
    f"{KERNEL}/long.py": "x = 1\n" * 400,
    ".venv/utils.py": "https://" + REGISTRIES[0],
    "requirements/run.txt": "apple==1",
}


@pytest.mark.parametrize("law", LAWS)
def test_the_house_keeps_the_law(law: Law) -> None:
    told = "\n".join(law(ROOT)).replace(f"{ROOT}/", "")

    assert not told, told


@pytest.mark.parametrize("law", LAWS)
def test_the_innocent_are_left_in_peace(law: Law, tmp_path: Path) -> None:
    for path, text in INNOCENT.items():
        plant(tmp_path / path, text)

    assert list(law(tmp_path)) == []


@pytest.mark.parametrize(("law", "path", "text"), PLANTED)
def test_a_violation_is_told_with_its_place(law: Law, path: str, text: str, tmp_path: Path) -> None:
    plant(tmp_path / path, text)

    told = list(law(tmp_path))

    assert len(told) == 1
    assert told[0].startswith(str((tmp_path / path).parent))


@pytest.mark.parametrize("law", LAWS)
def test_every_law_has_a_violation_planted(law: Law) -> None:
    assert law in {planted for planted, *_ in PLANTED}


def plant(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
