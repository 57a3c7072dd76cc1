"""The laws of the tree that no linter knows. Each tells what breaks it, a line per place."""

import ast
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

Law = Callable[[Path], Iterator[str]]

ROOMS = {
    "contract",
    "http",
    "model",
    "module",
    "ports",
    "reactions",
    "sagas",
    "service",
    "settings",
    "store",
}
LONGEST = 400
FOREIGN = ("__pycache__", "node_modules")
VAGUE = {"base", "common", "core", "handlers", "helpers", "manager", "misc", "utils"}
COMMERCE = re.compile(
    r"(?<![a-z])(basket|cart|checkout|coupon|customer|discount|invoice|merchant|payment|price|pricing|"
    r"product|refund|shipment|shipping|shopper|sku|stock|tax|taxes|voucher|warehouse)s?(?![a-z])"
)
SQL = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|LOCK TABLE|CREATE|ALTER)\s")

# Written in halves, so that this file keeps the law, too.
REGISTRIES = tuple(
    ".".join(halves)
    for halves in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("registry.yarnpkg", "com"),
        ("deb.debian", "org"),
        ("crates", "io"),
        ("proxy.golang", "org"),
    )
)


def module_files_have_the_names_of_the_plan(root: Path) -> Iterator[str]:
    """Want a module to be made of rooms that have the same names everywhere."""
    modules = root / "src" / "banyan" / "modules"
    for entry in _entries(modules):
        if entry.is_file() and entry.name != "__init__.py":
            yield f"{entry}: a module is a folder"
        elif entry.is_dir():
            for room in _entries(entry):
                if not _is_of_the_plan(room):
                    yield f"{room}: no room of a module"


def files_are_short(root: Path) -> Iterator[str]:
    """Want a file to be read in one sitting."""
    for file in _files(root, ".py"):
        if (lines := len(file.read_text().splitlines())) > LONGEST:
            yield f"{file}: {lines} lines; split it by noun"


def names_say_something(root: Path) -> Iterator[str]:
    """Want no drawer for odds and ends."""
    for file in _files(root, ".py"):
        for part in file.relative_to(root).with_suffix("").parts:
            if part in VAGUE:
                yield f"{file}: {part} says nothing"


def the_kernel_knows_no_business(root: Path) -> Iterator[str]:
    """Want a kernel that could carry any trade."""
    for file in _files(root / "src" / "banyan" / "kernel"):
        for number, line in enumerate(file.read_text().splitlines(), start=1):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", line).lower()
            if word := COMMERCE.search(words):
                yield f"{file}:{number}: {word[0]} is a word of the trade"


def public_things_are_documented(root: Path) -> Iterator[str]:
    """Want a definition of every public thing, unless it answers to one that it inherits."""
    for file in _files(root / "src", ".py"):
        for node in _public(ast.parse(file.read_text())):
            if not ast.get_docstring(node):
                yield f"{file}:{node.lineno}: {node.name} has no docstring"


def sql_stands_in_the_store(root: Path) -> Iterator[str]:
    """Want the SQL of a module in one place."""
    for file in _rooms(root):
        if "store" not in (file.stem, file.parent.name):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and SQL.match(str(node.value)):
                    yield f"{file}:{node.lineno}: SQL outside the store"


def only_constants_enter_sql(root: Path) -> Iterator[str]:
    """Want values to travel as parameters; what is written into SQL is a constant of ours."""
    for file in _rooms(root):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr) and SQL.match(_first_text(node)):
                for part in node.values:
                    if isinstance(part, ast.FormattedValue) and not _is_constant(part.value):
                        yield f"{file}:{node.lineno}: {ast.unparse(part.value)} enters SQL"


def rules_are_plain_functions(root: Path) -> Iterator[str]:
    """Want rules that only think: `async` would mean I/O."""
    for file in _rooms(root):
        if "model" in (file.stem, file.parent.name):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.AsyncFunctionDef):
                    yield f"{file}:{node.lineno}: {node.name} is async in a model"


def modules_leave_tasks_to_the_kernel(root: Path) -> Iterator[str]:
    """Want no work that nobody waits for, and no arguments that nobody can name."""
    for file in _rooms(root):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute | ast.Name) and _name(node) == "create_task":
                yield f"{file}:{node.lineno}: create_task in a module"
            if isinstance(node, ast.arguments) and node.kwarg:
                yield f"{file}:{node.kwarg.lineno}: **{node.kwarg.arg} in a module"


def no_two_problems_share_a_name(root: Path) -> Iterator[str]:
    """Want a code, which is a problem's name, to mean one thing, also where processes differ."""
    places: dict[str, str] = {}
    for file in _files(root / "src", ".py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ClassDef) and any(one.arg == "status" for one in node.keywords):
                place = f"{file}:{node.lineno}"
                if (first := places.setdefault(node.name, place)) != place:
                    yield f"{place}: {node.name} is a problem already, in {first}"


def no_file_names_a_registry(root: Path) -> Iterator[str]:
    """Want packages from wherever the reader's own tools are told to look."""
    for file in _files(root):
        text = file.read_bytes()
        for registry in REGISTRIES:
            if registry.encode() in text:
                yield f"{file}: names {registry}"


def locks_hold_no_address(root: Path) -> Iterator[str]:
    """Want names, versions and hashes in a lock, and nothing else."""
    for file in _files(root / "requirements", ".txt"):
        if "://" in file.read_text():
            yield f"{file}: an address in a lock"


LAWS: tuple[Law, ...] = (
    module_files_have_the_names_of_the_plan,
    files_are_short,
    names_say_something,
    the_kernel_knows_no_business,
    public_things_are_documented,
    sql_stands_in_the_store,
    only_constants_enter_sql,
    rules_are_plain_functions,
    modules_leave_tasks_to_the_kernel,
    no_two_problems_share_a_name,
    no_file_names_a_registry,
    locks_hold_no_address,
)


def _files(root: Path, suffix: str = "") -> Iterator[Path]:
    """Walk the files of ours: not what tools and the shop have written into hidden folders."""
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f == ".ci" or not f.startswith((".", *FOREIGN))]
        yield from (Path(folder, name) for name in names if name.endswith(suffix))


def _rooms(root: Path) -> Iterator[Path]:
    return _files(root / "src" / "banyan" / "modules", ".py")


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.name != "__pycache__")


def _is_of_the_plan(room: Path) -> bool:
    if room.name == "migrations":
        return all(file.suffix == ".sql" for file in room.iterdir())
    if room.is_dir():
        return room.name in {"templates", *ROOMS - {"contract", "module"}}
    return room.suffix == ".py" and room.stem in {"__init__", *ROOMS}


def _public(
    scope: ast.Module | ast.ClassDef,
) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in scope.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_"):
                continue
            yield node
            if isinstance(node, ast.ClassDef) and not _inherits(node):
                yield from _public(node)


def _inherits(node: ast.ClassDef) -> bool:
    return any(
        isinstance(base, ast.Name | ast.Attribute) and _name(base) != "Protocol"
        for base in node.bases
    )


def _first_text(node: ast.JoinedStr) -> str:
    return next((str(part.value) for part in node.values if isinstance(part, ast.Constant)), "")


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute | ast.Name) and _name(node).isupper()


def _name(node: ast.Attribute | ast.Name) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id
