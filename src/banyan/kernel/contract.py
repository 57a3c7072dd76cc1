"""What one module may ask of another, and how the answer "no" is spelled."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import (
    Any,
    ClassVar,
    Literal,
    Protocol,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_type_hints,
)

import msgspec

C = TypeVar("C")
F = TypeVar("F", bound=Callable[..., Any])

Mark = Literal["query", "command", "undertaking"]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A thing without a will of its own: made once, compared by content, safe to send."""


@dataclass_transform(kw_only_default=True)
class Problem(Exception):
    """A "no" that the caller is expected to understand.

    A subclass annotates the fields that explain it and states the HTTP status (RFC 9110) that
    fits. Its message is the first line of its docstring; its code is its name, and no other's.
    """

    status: ClassVar[int] = 409
    code: ClassVar[str] = "problem"
    kind: ClassVar[str] = ""

    def __init_subclass__(cls, *, status: int) -> None:
        super().__init_subclass__()
        if not cls.__doc__:
            raise TypeError(f"{cls.__name__} must say in a docstring why it refuses")
        cls.status = status
        cls.code = snake(cls.__name__)
        cls.kind = f"{home_of(cls)}.{cls.code}"
        if (first := _codes.setdefault(cls.code, cls.kind)) != cls.kind:
            raise TypeError(f"{cls.kind} has the code of {first}: clients cannot tell them apart")
        _kinds[cls.kind] = cls
        dataclass(kw_only=True, eq=False, repr=False)(cls)

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.fields().items())
        return f"{self.title()} ({told})" if told else self.title()

    @classmethod
    def title(cls) -> str:
        """Say in one sentence what is refused."""
        return (cls.__doc__ or cls.code).strip().splitlines()[0]

    def fields(self) -> dict[str, Any]:
        """Return what explains this problem, by name."""
        return {f.name: getattr(self, f.name) for f in fields(cast(Any, self))}


class ToldProblem(Value, frozen=True, kw_only=True):
    """A problem as it travels or is kept: its kind (`module.code`), and what explains it."""

    kind: str
    fields: dict[str, Any]


def tell(problem: Problem) -> ToldProblem:
    """Write a problem down."""
    return ToldProblem(kind=problem.kind, fields=problem.fields())


def revive(told: ToldProblem) -> Problem:
    """Make a problem anew; fields that this version does not know are ignored."""
    kind = _kinds[told.kind]
    hints = get_type_hints(kind)
    names = [f.name for f in fields(cast(Any, kind)) if f.name in told.fields]
    return kind(**{name: msgspec.convert(told.fields[name], hints[name]) for name in names})


@dataclass(frozen=True)
class Operation:
    """One method of a contract, as the wire sees it."""

    module: str
    name: str
    mark: Mark
    arguments: type[msgspec.Struct]
    answer: Any
    problems: tuple[type[Problem], ...]
    side: str = ""

    @property
    def subject(self) -> str:
        """Where this operation is asked for: `module.name`, or `module.side.name`."""
        return ".".join(filter(None, (self.module, self.side, self.name)))

    def declares(self, problem: Problem) -> bool:
        """Tell whether a caller of this operation expects such a problem."""
        return isinstance(problem, self.problems)


def query(method: F) -> F:
    """Mark an operation that changes nothing and may be asked again."""
    return _mark(method, "query")


def command(method: F) -> F:
    """Mark an operation that is one transaction of its owner and asks no neighbor.

    With an idempotency key, the key and the answer are stored in that same transaction.
    """
    return _mark(method, "command")


def undertaking(method: F) -> F:
    """Mark a command that involves neighbors or the outside, usually by a saga.

    It carries the id of what it makes and, asked again, finds that and carries on.
    """
    return _mark(method, "undertaking")


def raises(*problems: type[Problem]) -> Callable[[F], F]:
    """Declare the ways in which an operation may say no."""

    def mark(method: F) -> F:
        _problems[method] = problems
        return method

    return mark


def contract(module: str) -> Callable[[type[C]], type[C]]:
    """Make a Protocol the front door of `module`; complain at import if it cannot travel."""

    def register(protocol: type[C]) -> type[C]:
        found = {
            name: _operation(module, name, method)
            for name, method in vars(protocol).items()
            if inspect.isfunction(method) and not name.startswith("_")
        }
        if not found:
            raise TypeError(f"{protocol.__name__} offers no operation")
        if not protocol.__doc__:
            raise TypeError(f"{protocol.__name__} must say in a docstring what it is for")
        _operations[protocol] = found
        return protocol

    return register


@cache
def in_module(protocol: type[C], module: str) -> type[C]:
    """Make a contract that every module answers for itself that of one of them.

    Its name stands between the module's and the operation's, so that who may ask a module for what
    it offers may not ask for this, too: `inventory.backstage.replay`.
    """
    one = type(f"{protocol.__name__}Of{module.title()}", (protocol,), {})
    _operations[one] = {
        name: replace(operation, module=module, side=operation.module)
        for name, operation in _operations[protocol].items()
    }
    return one


def operations(protocol: type[object]) -> Mapping[str, Operation]:
    """List what a contract offers, by name."""
    return _operations[protocol]


def is_contract(kind: object) -> bool:
    """Tell whether a class was registered with `@contract`."""
    return isinstance(kind, type) and kind in _operations


class Send(Protocol):
    """The way a call travels to whoever answers it."""

    def __call__(self, operation: Operation, arguments: dict[str, Any], /) -> Awaitable[Any]:
        """Carry one call to its answer."""
        ...


def proxy(protocol: type[C], send: Send) -> C:
    """Build an object that speaks `protocol` by handing every call to `send`."""

    def method(operation: Operation) -> Callable[..., Awaitable[Any]]:
        async def call(_: object, **arguments: Any) -> Any:
            return await send(operation, arguments)

        call.__name__ = operation.name
        cast(Any, call).__operation__ = operation
        return call

    body = {name: method(op) for name, op in operations(protocol).items()}
    return cast(C, type(f"{protocol.__name__}Proxy", (protocol,), body)())


def asked(step: Callable[..., Any]) -> Operation | None:
    """Tell which operation a bound method asks of another module; None when it is our own."""
    return cast("Operation | None", getattr(step, "__operation__", None))


def snake(name: str) -> str:
    """Spell a class name as a code: NoSuchThing becomes no_such_thing."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def home_of(kind: type[object]) -> str:
    """Tell the module in whose contract a class stands; of the house's own, `kernel`."""
    *way, file = kind.__module__.split(".")
    return way[-1] if file == "contract" or way == ["banyan", "kernel"] else file


_kinds: dict[str, type[Problem]] = {}
_codes: dict[str, str] = {}
_operations: dict[type[object], dict[str, Operation]] = {}
_problems: dict[Callable[..., Any], tuple[type[Problem], ...]] = {}
_marks: dict[Callable[..., Any], Mark] = {}


def _mark(method: F, mark: Mark) -> F:
    _marks[method] = mark
    return method


def _operation(module: str, name: str, method: Callable[..., Any]) -> Operation:
    where = f"{module}.{name}"
    if not inspect.iscoroutinefunction(method):
        raise TypeError(f"{where} must be async: it may be far away")
    if method not in _marks:
        raise TypeError(f"{where} must be marked @query, @command or @undertaking")
    if not method.__doc__:
        raise TypeError(f"{where} must say in a docstring what it promises")
    _, *parameters = inspect.signature(method).parameters.values()
    if any(p.kind is not p.KEYWORD_ONLY for p in parameters):
        raise TypeError(f"{where} must take keyword-only arguments: they are its wire format")
    hints = get_type_hints(method, include_extras=True)
    _refuse_mutable(where, hints)
    arguments = msgspec.defstruct(
        f"{module}_{name}",
        [
            (p.name, hints[p.name]) if p.default is p.empty else (p.name, hints[p.name], p.default)
            for p in parameters
        ],
        frozen=True,
        kw_only=True,
    )
    return Operation(
        module, name, _marks[method], arguments, hints["return"], _problems.get(method, ())
    )


def _refuse_mutable(where: str, hints: Mapping[str, Any]) -> None:
    """What crosses a border is frozen: tuples instead of lists and sets."""
    for hint in hints.values():
        for part in (hint, *get_args(hint)):
            if part in (list, set) or getattr(part, "__origin__", None) in (list, set):
                raise TypeError(f"{where} must speak in tuples and frozensets, not in {part}")
