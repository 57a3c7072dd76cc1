"""What was measured, as JSON for programs and as a table for people."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

COLUMNS = (
    *("operation", "at once", "done", "failed", "per second", "p50 ms", "p95 ms", "p99 ms"),
    *("CPU ms: application", "database", "others", "charged", "floor", "budget"),
)


@dataclass
class Measured:
    """One operation: how often it was done, how fast, and what each cost."""

    operation: str
    concurrency: int
    done: int
    failed: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    cpu_ms: Mapping[str, float]
    budget_ms: float | None = None
    floor_ms: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def charged_ms(self) -> float:
        """What counts against the budget: the application and its database."""
        return self.cpu_ms.get("application", 0) + self.cpu_ms.get("database", 0)


class Trial(NamedTuple):
    """Something that was tried, beside the operations."""

    name: str
    told: str
    budget: str
    held: bool


@dataclass
class Report:
    """A whole run on one machine."""

    platform: str
    versions: Mapping[str, str]
    machine: Mapping[str, str]
    data: Mapping[str, int]
    topology: str
    facts: dict[str, str]
    measured: Sequence[Measured]
    trials: Sequence[Trial]
    flaws: Sequence[str]

    def write(self, folder: Path) -> Path:
        """Write both, under the name of the platform and its topology; return the table's path."""
        folder.mkdir(parents=True, exist_ok=True)
        table = folder / f"{self.platform}-{self.topology}.md"
        table.with_suffix(".json").write_text(json.dumps(asdict(self), indent=2) + "\n")
        table.write_text(self.table())
        return table

    def table(self) -> str:
        """Write the table."""
        lines = [
            f"# {self.platform}, {self.topology}",
            "",
            *(f"- {name}: {told}" for name, told in {**self.machine, **self.versions}.items()),
            *(f"- {name}: {told:,}" for name, told in self.data.items()),
            *(f"- {name}: {told}" for name, told in self.facts.items()),
        ]
        if self.measured:
            lines += [
                f"- invariants after the load: {'; '.join(self.flaws) or 'all hold'}",
                "",
                f"| {' | '.join(COLUMNS)} |",
                f"|---|{'---:|' * (len(COLUMNS) - 1)}",
            ]
            lines += map(_row, self.measured)
        if self.trials:
            lines += ["", "| trial | measured | budget | held |", "|---|---|---|---|"]
            lines += (
                f"| {' | '.join(one[:3])} | {'yes' if one.held else 'no'} |" for one in self.trials
            )
        return "\n".join([*lines, ""])


def machine() -> Mapping[str, str]:
    """Describe what all of this ran on."""
    return {
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores, "
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def _row(one: Measured) -> str:
    others = sum(ms for kind, ms in one.cpu_ms.items() if kind not in ("application", "database"))
    figures = [
        f"{one.per_second:,.0f}",
        *(f"{ms:.2f}" for ms in (one.p50_ms, one.p95_ms, one.p99_ms)),
        *(f"{one.cpu_ms.get(kind, 0):.3f}" for kind in ("application", "database")),
        f"{others:.3f}",
        f"**{one.charged_ms:.3f}**",
        "–" if one.floor_ms is None else f"{one.floor_ms:.3f}",
        "–" if one.budget_ms is None else f"{one.budget_ms:g}",
    ]
    begun = f"| {one.operation} | {one.concurrency} | {one.done:,} | {one.failed} | "
    return begun + " | ".join(figures) + " |"
