"""The prose of the repository: true of the house, and seen untrue by every planted slip."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

Law = Callable[[Path], Iterator[str]]

ROOT = Path(__file__).parents[2]
KERNEL = Path("src/banyan/kernel")
ENGINES = Path("src/banyan/engines")
MODULES = Path("src/banyan/modules")
CHANNELS = Path("src/banyan/channels")
TOUR = "ARCHITECTURE.md"
DECISIONS = Path("docs/decisions")

FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FILE = re.compile(r"`([\w-][\w./-]*(?:\.(?:py|sql|toml|html|md)|/))`")
PLACE = re.compile(r"`((?:docs|requirements|src|tests|topology)/[\w./-]+)`")
ROW = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
BRANCH = re.compile(r"^(├── |└── )?([a-z]\S*) *(.*)", re.MULTILINE)


def links_lead_somewhere(root: Path) -> Iterator[str]:
    """Want a link to a file of ours to find it."""
    for page, text in _pages(root):
        for target in LINK.findall(text):
            file, _, _ = target.partition("#")
            if file and "://" not in file and not (page.parent / file).exists():
                yield f"{page}: the link to {target} leads nowhere"


def places_are_there(root: Path) -> Iterator[str]:
    """Want a path that starts at one of our folders to end at a file or folder."""
    for page, text in _pages(root):
        for place in PLACE.findall(text):
            if not (root / place).exists():
                yield f"{page}: there is no {place}"


def the_tour_names_what_is_there(root: Path) -> Iterator[str]:
    """Want every file that the tour names to be in the tree, or in some part of the house."""
    tour = (root / TOUR).read_text()
    rooms = [*(root / MODULES).glob("*/"), root / CHANNELS, *(root / CHANNELS).glob("*/")]
    homes = [root, root / KERNEL, root / ENGINES, *rooms]
    named = {*FILE.findall(FENCE.sub("", tour)), *_tree(_section(tour, "The tree"))}
    for name in sorted(named):
        if not any((home / name).exists() for home in homes):
            yield f"{root / TOUR}: there is no {name}"


def the_tour_names_the_whole_kernel(root: Path) -> Iterator[str]:
    """Want the table of the kernel to have a row for each of its files, and for no other."""
    rows = ROW.findall(_section((root / TOUR).read_text(), "The kernel"))
    named = {row.rstrip("/") for row in rows}
    there = {entry.name for entry in (root / KERNEL).iterdir()} - {"__init__.py", "__pycache__"}
    yield from (f"{root / TOUR}: says nothing of {name}" for name in sorted(there - named))
    yield from (f"{root / TOUR}: the kernel has no {name}" for name in sorted(named - there))


def decisions_are_listed(root: Path) -> Iterator[str]:
    """Want a reader to find each decision from the first page of them."""
    listed = LINK.findall((root / DECISIONS / "README.md").read_text())
    for page in _decisions(root):
        if page.name not in listed:
            yield f"{page}: is not listed"


def decisions_are_numbered(root: Path) -> Iterator[str]:
    """Want the numbers of decisions to have no gap and no double."""
    for number, page in enumerate(_decisions(root), start=1):
        if not page.name.startswith(f"{number:04}-"):
            yield f"{page}: should have the number {number:04}"


LAWS: tuple[Law, ...] = (
    links_lead_somewhere,
    places_are_there,
    the_tour_names_what_is_there,
    the_tour_names_the_whole_kernel,
    decisions_are_listed,
    decisions_are_numbered,
)

INNOCENT = {
    "README.md": (
        "[The tour](ARCHITECTURE.md#laws), [elsewhere](https://example.com/x), [below](#below)\n"
        "```\n[code](is/not/prose.md) `tests/missing.py`\n```\n`tests/test_link.py`, `any/thing`\n"
    ),
    TOUR: (
        "## The tree\n```\nsrc/banyan/\n├── kernel/   calls\n└── cli.py    up\n"
        "tests/       architecture · test_link.py\n```\n"
        "## The kernel\n| file | |\n| --- | --- |\n| `link.py` | calls |\n| `migrations/` | SQL |\n"
        "## More\n`store.py`, `tests/test_link.py`, `/health`, `make`\n"
    ),
    "docs/decisions/0001-links.md": "# 0001\n[The tour](../../ARCHITECTURE.md)",
    "docs/decisions/README.md": "[0001](0001-links.md)",
    "src/banyan/cli.py": "",
    f"{KERNEL}/__init__.py": "",
    f"{KERNEL}/link.py": "",
    f"{KERNEL}/migrations/1.sql": "",
    f"{MODULES}/apple/store.py": "",
    "tests/architecture/laws.py": "",
    "tests/test_link.py": "",
}

# What is written after the innocent text of a file.
PLANTED = [
    (links_lead_somewhere, "README.md", "[a guide](docs/guides/none.md)"),
    (links_lead_somewhere, "docs/decisions/0001-links.md", "[the tour](ARCHITECTURE.md)"),
    (places_are_there, "README.md", "`tests/kernel/test_none.py`"),
    (the_tour_names_what_is_there, TOUR, "`none.py`"),
    (the_tour_names_what_is_there, TOUR, "`tests/none/`"),
    (the_tour_names_what_is_there, TOUR, "## The tree\n```\nnone/\n```\n"),
    (the_tour_names_what_is_there, TOUR, "## The tree\n```\nsrc/banyan/\n└── none.py  x\n```\n"),
    (the_tour_names_what_is_there, TOUR, "## The tree\n```\ntests/  architecture · none\n```\n"),
    (the_tour_names_the_whole_kernel, TOUR, "## The kernel\n| `none.py` | x |\n"),
    (decisions_are_listed, "docs/decisions/0002-none.md", ""),
    (decisions_are_numbered, "docs/decisions/0003-gap.md", ""),
    (decisions_are_numbered, "docs/decisions/0001-twice.md", ""),
]


@pytest.mark.parametrize("law", LAWS)
def test_the_prose_keeps_the_law(law: Law) -> None:
    told = "\n".join(law(ROOT)).replace(f"{ROOT}/", "")

    assert not told, told


@pytest.mark.parametrize("law", LAWS)
def test_true_prose_is_left_in_peace(law: Law, tmp_path: Path) -> None:
    write(tmp_path, INNOCENT)

    assert list(law(tmp_path)) == []


@pytest.mark.parametrize(("law", "path", "text"), PLANTED)
def test_a_slip_is_told_with_its_place(law: Law, path: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, INNOCENT)
    write(tmp_path, {path: INNOCENT.get(path, "") + text})

    told = list(law(tmp_path))

    assert len(told) == 1
    assert told[0].startswith(str((tmp_path / path).parent))


def test_a_kernel_file_that_the_tour_leaves_out_is_told(tmp_path: Path) -> None:
    write(tmp_path, {**INNOCENT, f"{KERNEL}/none.py": ""})

    told = list(the_tour_names_the_whole_kernel(tmp_path))

    assert told == [f"{tmp_path / TOUR}: says nothing of none.py"]


@pytest.mark.parametrize("law", LAWS)
def test_every_law_has_a_slip_planted(law: Law) -> None:
    assert law in {planted for planted, *_ in PLANTED}


def write(root: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def _pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Read all Markdown, without the code that it shows."""
    for page in sorted((*root.glob("*.md"), *root.glob("docs/**/*.md"))):
        yield page, FENCE.sub("", page.read_text())


def _decisions(root: Path) -> list[Path]:
    return sorted((root / DECISIONS).glob("[0-9]*.md"))


def _section(text: str, title: str) -> str:
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return "".join(
        body for name, body in zip(parts[1::2], parts[2::2], strict=True) if name == title
    )


def _tree(section: str) -> Iterator[str]:
    """List the paths of a drawn tree; names between dots are what a folder holds."""
    folder = ""
    for branch, name, said in BRANCH.findall("".join(FENCE.findall(section))):
        if not branch:
            folder = name
            yield from (f"{folder}{held}" for held in said.split(" · ") if " · " in said)
        yield f"{folder}{name}" if branch else name
