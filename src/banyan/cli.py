"""The command line: start a shop, look after it, and what plugins bring along."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import LazyLoader, find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App as Commands
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from banyan.engines import control
from banyan.engines.legible import legible
from banyan.engines.trouble import EngineError
from banyan.kernel import topology
from banyan.kernel.settings import Misconfigured, environment
from banyan.kernel.topology import hints

if TYPE_CHECKING:
    from banyan.engines import estate, manifests, opening, upkeep
    from banyan.kernel import app as houses
    from banyan.kernel import graph, health, serve
    from banyan.kernel.app import App, House
else:

    def later(name: str) -> ModuleType:
        """Import a module when something in it is first used."""
        if name not in sys.modules:
            spec = find_spec(name)
            spec.loader = LazyLoader(spec.loader)
            sys.modules[name] = module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules[name]

    # Whoever looks after a shop that runs needs nothing of the house that it is made of.
    houses, graph, health, serve = (
        later(f"banyan.kernel.{name}") for name in ("app", "graph", "health", "serve")
    )
    estate, manifests, opening, upkeep = (
        later(f"banyan.engines.{name}") for name in ("estate", "manifests", "opening", "upkeep")
    )

commands = Commands(
    name="banyan",
    help="A headless commerce platform.",
    version_flags=["--version"],
    help_on_error=True,
)
console = Console(highlight=False)

Data = Annotated[Path, Parameter(help="Where this shop keeps its data.")]
File = Annotated[Path | None, Parameter(help="A topology file; without one, all is one process.")]
SHOWN = 10
Kind = Literal["kubernetes", "compose", "envoy", "nats", "certificates"]
LOCAL = "127.0.0.1"
SELDOM = 100_000
"""After how many new objects a command looks for circles among them that nobody needs."""
HERE = Path(".banyan")
"""The data folder of a shop unless another is named."""


def main() -> None:
    """Run one command; what an operator can mend is told in a sentence."""
    try:
        if sys.argv[1:2] not in ([name] for name in ("status", "scale", "restart")):
            _add_plugin_commands(houses.discover())
        sys.exit(commands(sys.argv[1:]))
    except (Misconfigured, EngineError) as trouble:
        console.print(f"[red]banyan cannot do that:[/red] {escape(str(trouble))}", soft_wrap=True)
        sys.exit(1)


@commands.command
def up(
    *,
    topology: File = None,
    port: Annotated[int, Parameter(help="The port on 127.0.0.1.")] = 8000,
    data: Data = HERE,
    workers: Annotated[
        int | None, Parameter(help="How many processes share the port; else one for each core.")
    ] = None,
    empty: Annotated[bool, Parameter(negative="", help="Begin without the demo shop.")] = False,
) -> int:
    """Run a whole shop on this machine until Ctrl-C."""
    house, shop = houses.discover(), _estate(data, topology)
    with contextlib.ExitStack() as stack:
        stack.enter_context(shop.own())
        listening = stack.enter_context(upkeep.listening(port))
        stack.enter_context(shop)
        serve.run(opening.prepare(house, shop, _say, empty=empty))
        serving = partial(opening.serve_process, house, shop, _say)
        gc.freeze()  # Workers that are forked share what is loaded by now.
        asyncio.run(upkeep.keep_up(house, shop, listening, workers, topology, serving, _say))
    return 0


@commands.command(name="serve")
def serve_process(
    *,
    process: Annotated[str, Parameter(help="Its name in the topology.")] = "monolith",
    host: Annotated[str, Parameter(help="The address to listen at.")] = LOCAL,
    port: Annotated[int, Parameter(help="The port to listen at; 0 is any that is free.")] = 0,
    fd: Annotated[int | None, Parameter(help="A listening socket that it inherits.")] = None,
    instance: Annotated[
        str | None,
        Parameter(help="Tells replicas apart, so each takes back what it held; else the host."),
    ] = None,
    topology: File = None,
    data: Data = HERE,
) -> int:
    """Run one process of a shop, as a container would."""
    house, shop = houses.discover(), _estate(data, topology)
    name = instance or socket.gethostname()
    return opening.serve_process(house, shop, _say, process, name, fd, (host, port))


@commands.command
def status(*, data: Data = HERE) -> int:
    """Show every process of a running shop, and how it stands."""
    for answer in control.ask(data, control.Status()):
        if isinstance(answer, control.Standings):
            table = Table("process", "state", "since", "restarts", "MB", "pid", box=None)
            table.add_column("where", overflow="fold")
            for one in answer.processes:
                since = f"{one.since.astimezone():%a %H:%M:%S}"
                memory = f"{one.memory_bytes / 1e6:.0f}"
                told = (since, str(one.restarts), memory, str(one.pid or ""), escape(one.place))
                table.add_row(one.name, one.state, *told)
            console.print(table)
    return 0


@commands.command
def scale(
    *wanted: Annotated[str, Parameter(help="A process and how many of it: catalog=3.")],
    data: Data = HERE,
) -> int:
    """Have more or fewer replicas in a running shop, until it is stopped."""
    return _change(data, control.Scale(wanted=control.numbers(wanted)))


@commands.command
def restart(
    process: Annotated[str | None, Parameter(help="Its name; without one, all of them.")] = None,
    /,
    *,
    data: Data = HERE,
) -> int:
    """Replace the replicas of a running shop one after another; nobody is kept waiting."""
    return _change(data, control.Restart(process=process))


def _change(data: Path, request: control.Request) -> int:
    for answer in control.ask(data, request):
        if isinstance(answer, control.Progress):
            _say(answer.line)
    return 0


@commands.command
def migrate(*, topology: File = None, data: Data = HERE) -> int:
    """Bring the database up to date."""
    with _estate(data, topology) as shop:
        applied = serve.run(opening.migrate(houses.discover(), shop, _say))
    console.print(f"{applied} migrations applied" if applied else "the database is up to date")
    return 0


@commands.command
def seed(*, topology: File = None, data: Data = HERE) -> int:
    """Fill an empty shop with something to look at; a shop with data is left alone."""
    with _estate(data, topology) as shop:
        serve.run(opening.prepare(houses.discover(), shop, _say, empty=False))
    return 0


@commands.command
def check(*, topology: File = None) -> int:
    """Say whether a topology can work, and if not, what to change."""
    told = _read(topology)
    _check(houses.discover(), told)
    console.print("the topology is sound")
    for hint in hints(told):
        console.print(escape(f"hint: {hint}"), soft_wrap=True)
    return 0


@commands.command
def render(
    kind: Kind,
    /,
    *,
    topology: File = None,
    out: Annotated[Path | None, Parameter(help="A folder for files; else they are shown.")] = None,
) -> int:
    """Write what other programs need to run this topology; never a password."""
    house, told = houses.discover(), _read(topology, {})
    _check(house, told)
    text = topology.read_text(encoding="utf-8") if topology else ""
    if out is None:
        print(manifests.one_text(kind, house, told, text), end="")
    else:
        for file in manifests.write(kind, house, told, text, out):
            print(file)
    return 0


@commands.command(name="graph")
def show_graph(
    *,
    topology: File = None,
    style: Annotated[Literal["text", "mermaid"], Parameter(name="--format")] = "text",
) -> int:
    """Show which module asks and hears which, and where each runs."""
    house, told = houses.discover(), _read(topology)
    _check(house, told)
    print((graph.as_mermaid if style == "mermaid" else graph.as_text)(house.modules, told))
    return 0


@commands.command
def doctor(
    *,
    repair: Annotated[
        bool, Parameter(negative="", help="Mend what can be mended, and say what was done.")
    ] = False,
    topology: File = None,
    data: Data = HERE,
) -> int:
    """Check every invariant of a running or stopped shop; exit with 1 if one does not hold."""

    async def examine(app: App) -> int:
        diagnoses = await health.examine(app, repair=repair)
        _print(diagnoses)
        return 0 if all(one.healthy for one in diagnoses) else 1

    return _with_shop(examine, topology, data)


def _print(diagnoses: tuple[health.Diagnosis, ...]) -> None:
    table = Table("module", "invariant", "", "found")
    for one in diagnoses:
        mark = "[green]ok[/green]" if one.healthy else "[red]broken[/red]"
        mended = [f"[green]mended:[/green] {escape(what)}" for what in one.mended]
        told = [escape(what) for what in _first(one.found)] + mended
        table.add_row(one.module, one.title, mark, "\n".join(told))
    console.print(table)


def _first(found: tuple[str, ...]) -> list[str]:
    """Show so many findings that the others can be guessed."""
    more = len(found) - SHOWN
    return [*found[:SHOWN], f"… and {more} more"] if more > 0 else list(found)


def _with_shop(work: Callable[[App], Awaitable[int]], file: Path | None, data: Path) -> int:
    """Do something in a running or stopped shop, and leave what follows from it to its workers."""

    async def inside(shop: estate.Estate) -> int:
        house = houses.discover()
        async with AsyncExitStack() as stack:
            if shop.started:
                await stack.enter_async_context(upkeep.with_companions(house, shop, _say_aside))
            app = opening.assemble(house, shop, f"cli-{os.getpid()}")
            await stack.enter_async_context(opening.opened(app, at_work=False))
            await stack.enter_async_context(opening.carrying(app, shop))
            # What is loaded by now stays, and batches come and go without circles: looking through
            # all of it for what is left behind took a fifth of an import.
            gc.freeze()
            gc.set_threshold(SELDOM)
            return await work(app)

    with _estate(data, file, say=_say_aside) as shop:
        return int(serve.run(inside(shop)))


def _add_plugin_commands(house: House) -> None:
    """Make the commands that plugins declare: `import products` goes below `import`."""
    groups: dict[str, Commands] = {}
    for plugin in house.plugins:
        for name, function in plugin.commands.items():
            *group, last = name.split()
            parent = commands
            for word in group:
                if word not in groups:
                    groups[word] = Commands(name=word)
                    commands.command(groups[word])
                parent = groups[word]
            parent.command(_as_command(function), name=last)


def _as_command(function: Callable[..., Awaitable[int]]) -> Callable[..., int]:
    """Hand a plugin's function the shop, and its other parameters to the command line."""
    told = inspect.signature(function)
    data = inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=HERE, annotation=Data)
    file = inspect.Parameter(
        "topology", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=File
    )

    @functools.wraps(function)
    def command(*args: object, **kwargs: object) -> int:
        where: dict[str, Any] = {"topology": None, "data": HERE}
        where |= {name: kwargs.pop(name) for name in where if name in kwargs}
        return _with_shop(
            lambda app: function(app.ask, *args, **kwargs), where["topology"], where["data"]
        )

    own = list(told.parameters.values())[1:]
    hints = inspect.get_annotations(function, eval_str=True)
    own = [one.replace(annotation=hints[one.name]) for one in own]
    command.__signature__ = told.replace(  # type: ignore[attr-defined]
        parameters=[*own, data, file], return_annotation=int
    )
    del command.__wrapped__
    command.__annotations__ = {one.name: one.annotation for one in [*own, data, file]}
    return command


def _estate(
    data: Path, file: Path | None, say: Callable[[str], None] | None = None
) -> estate.Estate:
    told = _read(file)
    _check(houses.discover(), told)
    return estate.Estate(data, told, say or _say)


def _read(file: Path | None, told: Mapping[str, str] | None = None) -> topology.Topology:
    return topology.read(file, environment=environment() if told is None else told)


def _check(house: House, told: topology.Topology) -> None:
    topology.check(
        told,
        modules=[module.name for module in house.modules],
        channels=[channel.name for channel in house.channels],
        needs=graph.graph(house.modules),
    )


def _say_aside(line: str) -> None:
    """Tell of progress where the answer of a command goes to standard output."""
    print(line, file=sys.stderr, flush=True)


def _say(line: str) -> None:
    if console.is_terminal:
        console.print(Text.assemble(*legible(line)), soft_wrap=True)
    else:
        print(line, flush=True)


if __name__ == "__main__":
    main()
