"""What a figure was measured on: a figure without this means nothing."""

import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec

from kaquan.kit.embedded.config import usable_memory_bytes

FLUSHES = 200


class Machine(msgspec.Struct, frozen=True):
    """The machine, the software and the moment. ``flush_us`` is the median time of a small durable write."""

    measured_at: datetime
    cpu: str
    cores: int
    memory_mib: int
    kernel: str
    python: str
    postgresql: Mapping[str, str]
    git_commit: str | None
    flush_us: float


def describe_machine(*, measured_at: datetime, postgresql: Mapping[str, str], folder: Path) -> Machine:
    """The facts of this machine; ``folder`` is on the disk whose flushes are timed."""
    return Machine(
        measured_at=measured_at,
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_mib=usable_memory_bytes() // 2**20,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        postgresql=postgresql,
        git_commit=_git_commit(),
        flush_us=_flush_us(folder),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _git_commit() -> str | None:
    """The commit of this source, with ``+`` if it was changed since; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _flush_us(folder: Path) -> float:
    times_ns = []
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FLUSHES):
            started_ns = time.perf_counter_ns()
            os.pwrite(file.fileno(), b"x" * 8192, 0)
            os.fsync(file.fileno())
            times_ns.append(time.perf_counter_ns() - started_ns)
    return sorted(times_ns)[FLUSHES // 2] / 1e3
