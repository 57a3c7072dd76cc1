"""The reference of contracts and events: documents for programs, and the same as pages.

A contract is its own wire format, so all of it is read from the code. `python -m
banyan.kernel.reference docs/reference` writes it; with `released` after it, the documents are also
kept as what is promised from then on.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from inspect import cleandoc
from pathlib import Path

import msgspec

from banyan.kernel import asyncapi, example, markdown
from banyan.kernel.app import discover
from banyan.kernel.contract import Operation, Problem, operations
from banyan.kernel.link import ALWAYS
from banyan.kernel.module import Module
from banyan.kernel.remote import Malformed
from banyan.kernel.schemas import Json, Schemas
from banyan.kernel.subjects import of_call

EVENTS = "events.asyncapi.json"
HOUSE: tuple[type[Problem], ...] = (*ALWAYS, Malformed)
"""Problems that every operation may answer from afar, beside its own."""


def main(words: Sequence[str] | None = None) -> None:
    """Write the reference of everything that is installed."""
    parser = argparse.ArgumentParser(prog="python -m banyan.kernel.reference", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("promise", nargs="?", choices=["released"])
    told = parser.parse_args(words)
    modules = discover().modules
    write(told.folder, files(modules))
    if told.promise:
        write(told.folder / "released", released(modules))


def files(modules: Sequence[Module]) -> dict[str, str]:
    """Make the whole reference: texts by their paths."""
    pages = {
        f"contracts/{module.name}.md": markdown.of_contracts(contracts(module))
        for module in modules
    }
    return released(modules) | pages | {"events.md": markdown.of_events(events(modules))}


def released(modules: Sequence[Module]) -> dict[str, str]:
    """Make the documents, without the pages for people."""
    told = {f"contracts/{module.name}.json": contracts(module) for module in modules}
    return {path: _written(one) for path, one in (told | {EVENTS: events(modules)}).items()}


def events(modules: Sequence[Module]) -> Json:
    """Describe what modules tell each other."""
    return asyncapi.document(modules, title="Banyan: events", version=version("banyan-commerce"))


def contracts(module: Module) -> Json:
    """Describe what a module answers, for somebody who has none of its code."""
    schemas = Schemas()
    offered = {
        name: _operation(protocol, operation, schemas)
        for protocol in module.offers
        for name, operation in operations(protocol).items()
    }
    kinds: dict[str, type[Problem]] = {
        kind.kind: kind
        for protocol in module.offers
        for operation in operations(protocol).values()
        for kind in (*HOUSE, *operation.problems)
    }
    problems = {name: _problem(kind, schemas) for name, kind in sorted(kinds.items())}
    shared = schemas.write()
    for described in offered.values():
        described["example"] = example.of(described["request"], shared)
    return {
        "module": module.name,
        "description": "\n\n".join(cleandoc(front.__doc__ or "") for front in module.offers),
        "operations": offered,
        "always": sorted(kind.kind for kind in HOUSE),
        "problems": problems,
        "components": {"schemas": shared},
    }


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the texts into a folder, and drop what was written for a module that is gone."""
    for old in folder.glob("contracts/*"):
        old.unlink()
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _operation(protocol: type[object], operation: Operation, schemas: Schemas) -> Json:
    summary, _, description = cleandoc(
        getattr(protocol, operation.name).__doc__ or operation.name
    ).partition("\n")
    return {
        "subject": of_call(operation),
        "mark": operation.mark,
        "summary": summary,
        "description": description.strip(),
        "request": schemas.of(operation.arguments),
        "answer": schemas.of(operation.answer),
        "problems": sorted(kind.kind for kind in operation.problems),
    }


def _problem(kind: type[Problem], schemas: Schemas) -> Json:
    return {"status": kind.status, "title": kind.title(), "fields": schemas.of(kind)}


def _written(document: Json) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


if __name__ == "__main__":
    main()
