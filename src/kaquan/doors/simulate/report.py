"""What a run did and found, as JSON for programs and as Markdown for people."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from kaquan.doors.load import Latency


class AuditSeen(msgspec.Struct, frozen=True):
    """One of the audits at the end: whether it holds, and over how many things."""

    name: str
    holds: bool
    checked: int


class Report(msgspec.Struct, kw_only=True):
    """``reproduce`` is the line that begins the same run again. ``finished`` is false while the run goes on."""

    seed: int
    reproduce: str
    started_at: datetime
    written_at: datetime
    finished: bool = False
    seconds: float = 0.0
    paused_s: float = 0.0
    rounds: int = 0
    operations: Counter[str] = msgspec.field(default_factory=Counter)
    answers: Counter[str] = msgspec.field(default_factory=Counter)
    refusals: Counter[str] = msgspec.field(default_factory=Counter)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    stories: Counter[str] = msgspec.field(default_factory=Counter)
    checks: Counter[str] = msgspec.field(default_factory=Counter)
    recovery_s: dict[str, list[float]] = msgspec.field(default_factory=dict)
    latency: Latency | None = None
    audits: list[AuditSeen] = msgspec.field(default_factory=list)
    log_size: int = 0
    transactions: int = 0
    violations: list[str] = msgspec.field(default_factory=list)

    def count(self, *faults: str) -> str:
        """How often these things were done, as people read it."""
        return f"{sum(self.faults[fault] for fault in faults):,}"


def write_report(report: Report, folder: Path) -> None:
    """``report.json`` and ``report.md`` in ``folder``, each replaced at once."""
    for name, text in (
        ("report.json", msgspec.json.format(msgspec.json.encode(report))),
        ("report.md", to_markdown(report).encode()),
    ):
        new = folder / f"{name}.new"
        new.write_bytes(text)
        new.replace(folder / name)


def read_report(path: Path) -> Report:
    """A report that was written before."""
    return msgspec.json.decode(path.read_bytes(), type=Report, dec_hook=lambda type_, value: type_(value))


def to_markdown(report: Report) -> str:
    """Tables of everything in the report."""
    state = "finished" if report.finished else "still running"
    lines = [
        "# A run of the simulator",
        "",
        "<!-- made by `kaquan simulate --show REPORT`; see explanation/simulator.md -->",
        "",
        f"Seed {report.seed}, begun {report.started_at:%Y-%m-%d %H:%M} UTC, {state} at {report.written_at:%H:%M}: "
        f"**{len(report.violations)} violations**.",
        "",
        *_table(
            ("figure", "value"),
            [
                ("time under load", f"{report.seconds / 60:,.1f} min"),
                ("operations", f"{sum(report.operations.values()):,}"),
                ("answers", f"{sum(report.answers.values()):,}"),
                ("transactions in the ledger", f"{report.transactions:,}"),
                ("entries of the log", f"{report.log_size:,}"),
                ("processes killed (-9)", report.count("killed_server", "killed_worker")),
                ("PostgreSQL killed (-9)", report.count("killed_postgres")),
                ("sessions of PostgreSQL killed (-9)", report.count("killed_backend")),
                *_latency(report.latency),
                *_recovery(report.recovery_s),
                ("violations", str(len(report.violations))),
            ],
        ),
    ]
    for title, counts in (
        ("Operations", report.operations), ("Stories told to their end", report.stories), ("Faults", report.faults),
        ("Answers", report.answers), ("Refusals", report.refusals), ("Checks", report.checks),
    ):  # fmt: skip
        rows = [(name.replace("_", " "), f"{count:,}") for name, count in counts.most_common()]
        lines += ["", f"## {title}", "", *_table(("kind", "count"), rows)]
    audits = [(one.name, "holds" if one.holds else "**does not hold**", f"{one.checked:,}") for one in report.audits]
    lines += ["", "## Audits at the end", "", *_table(("audit", "result", "checked"), audits)]
    if report.violations:
        lines += ["", "## Violations", "", *(f"- {violation}" for violation in report.violations)]
        lines += ["", "```console", f"$ {report.reproduce}", "```"]
    return "\n".join([*lines, ""])


def _latency(latency: Latency | None) -> list[tuple[str, str]]:
    if latency is None:
        return []
    return [
        (f"answer time, {name} (faults and kills included)", f"{value:,.1f} ms")
        for name, value in (("median", latency.p50_ms), ("99 %", latency.p99_ms))
    ]


def _recovery(recovery_s: dict[str, list[float]]) -> list[tuple[str, str]]:
    """How long it took from each blow to the first success of a request that began after it."""
    return [
        (
            f"answers again after {blow.replace('_', ' ')}, median / longest",
            f"{_median(times):.1f} / {max(times):.1f} s",
        )
        for blow, times in sorted(recovery_s.items())
    ]


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]
