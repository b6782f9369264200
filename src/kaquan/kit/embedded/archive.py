"""The archive of a server: base backups, and every segment of its write-ahead log since the first of them.

Folder of an archive::

    base/20261122T083000Z/   data (the cluster as pg_basebackup wrote it), pgpass, base.json
    wal/000000010000000000000002.gz …

An archive belongs to one server, and a restored one begins another: so the log in it never branches, and its segments,
which the server numbers one after the other, can be checked for gaps.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from kaquan.kit.clock import Clock
from kaquan.kit.embedded.account import Account
from kaquan.kit.embedded.binaries import EmbeddedPostgresError, binary, run
from kaquan.kit.embedded.segments import (
    SEGMENT_BYTES,
    SUFFIX,
    Log,
    follow,
    is_whole,
    read_lsn,
    segment_name,
    segment_number,
)
from kaquan.kit.embedded.server import EmbeddedPostgres, ServerState


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup. What is restored from it is a moment at or after ``ended_at`` (UTC)."""

    name: str
    began_at: datetime
    ended_at: datetime
    postgres: str
    """Major version of the server."""
    first_segment: str
    """Where in the log its recovery begins."""


@dataclass(frozen=True, slots=True)
class Check:
    """What an archive holds. It is ``sound`` if every base is and no segment between is missing or damaged.

    A moment can be restored from ``since``, when the oldest base ended. ``archived_at`` is when the last segment came:
    what was committed a minute before it is there.
    """

    folder: Path
    bases: Sequence[Base]
    segments: int
    size_bytes: int
    since: datetime | None
    archived_at: datetime | None
    missing: str | None
    damaged: Sequence[str]

    @property
    def sound(self) -> bool:
        return bool(self.bases) and self.missing is None and not self.damaged


def choose_base(bases: Sequence[Base], to: datetime | None) -> Base | None:
    """The newest base that ended at or before ``to`` (None: the newest), from which the way is shortest."""
    usable = [base for base in bases if to is None or base.ended_at <= to]
    return max(usable, key=lambda base: base.ended_at, default=None)


class Archive:
    """An archive in ``folder``. Every failure that an operator can mend is an `EmbeddedPostgresError`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.base_dir = self.folder / "base"
        self.wal_dir = self.folder / "wal"

    @classmethod
    def of(cls, server: EmbeddedPostgres) -> "Archive":
        """The archive that ``server`` keeps; raises if it keeps none."""
        if server.archive is None:
            raise EmbeddedPostgresError(
                f"The database in {server.folder} keeps no archive: begin one with `kaquan db archive FOLDER`."
            )
        return cls(server.archive)

    # Keeping

    def begin(self, server: EmbeddedPostgres, clock: Clock) -> Base:
        """Let ``server``, which must be stopped, keep its log here from now on; the first base backup."""
        if server.status().state is not ServerState.STOPPED:
            raise EmbeddedPostgresError(
                f"The database in {server.folder} is running, and begins an archive only when it starts: end "
                "`kaquan serve` or `kaquan db stop` first."
            )
        if server.archive is not None:
            raise EmbeddedPostgresError(f"The database in {server.folder} keeps its archive in {server.archive}.")
        if not server.data.exists():
            raise EmbeddedPostgresError(f"There is no database in {server.folder} yet: start it once.")
        self._make(server)
        try:
            server.archive_to(self.folder)
            with server:
                return self.take_base(server, clock)
        except BaseException:
            server.archive_to(None)
            shutil.rmtree(self.folder)
            raise

    def _make(self, server: EmbeddedPostgres) -> None:
        if self.folder.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise EmbeddedPostgresError(f"{self.folder} is not empty: an archive begins in a new folder.")
        if server.folder in (self.folder, *self.folder.parents):
            raise EmbeddedPostgresError(
                f"{self.folder} lies within the database's own folder and would be lost with it: choose another disk."
            )
        account = Account.choose(server.data, None)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)  # the server's user must pass, not read
        self.base_dir.mkdir(mode=0o700)
        account.own_dir(self.wal_dir)
        if run(["/bin/sh", "-c", 'cd -- "$0" && test -w .', self.wal_dir], account.identity()).returncode:
            shutil.rmtree(self.folder)
            raise EmbeddedPostgresError(
                f"The database server runs as the user {account.name}, who may not write in {self.wal_dir}: choose a "
                "folder that this user can reach."
            )

    def take_base(self, server: EmbeddedPostgres, clock: Clock) -> Base:
        """Copy the whole cluster while ``server`` runs and serves."""
        began_at = clock.now()
        name = f"{began_at:%Y%m%dT%H%M%SZ}"
        draft = self.base_dir / f"{name}.part"
        if (self.base_dir / name).exists() or draft.exists():
            raise EmbeddedPostgresError(f"A base backup of this second is in {self.base_dir} already: try again.")
        draft.mkdir(mode=0o700)
        try:
            options = ["--format=plain", "--wal-method=stream", "--checkpoint=fast", "--no-password"]
            self._run(server.binary("pg_basebackup"), *options, "-d", server.conninfo(), "-D", draft / "data")
            _write(draft / "pgpass", server.passfile.read_text())
            (span,) = json.loads((draft / "data" / "backup_manifest").read_bytes())["WAL-Ranges"]
            timeline = int(span["Timeline"])
            base = Base(
                name=name,
                began_at=began_at,
                ended_at=clock.now(),
                postgres=(draft / "data" / "PG_VERSION").read_text().strip(),
                first_segment=segment_name(timeline, read_lsn(span["Start-LSN"]) // SEGMENT_BYTES),
            )
            _write(draft / "base.json", json.dumps(asdict(base), default=datetime.isoformat))
            draft.rename(self.base_dir / name)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return base

    def keep(self, count: int) -> Sequence[Base]:
        """Forget all but the newest ``count`` bases, and the log before the oldest of them; what was forgotten."""
        bases = self.bases()
        forgotten, kept = bases[:-count], bases[-count:]
        for base in forgotten:
            shutil.rmtree((self.base_dir / base.name).rename(self.base_dir / f"{base.name}.part"))
        for name in self.segments():
            if segment_number(name) < segment_number(kept[0].first_segment):
                self.segment(name).unlink()
        return forgotten

    # Reading

    def bases(self) -> Sequence[Base]:
        """Every finished base backup, the oldest first."""
        found = []
        for path in self.base_dir.glob("*/base.json"):
            with suppress(ValueError, TypeError, KeyError):  # one that cannot be read is none
                facts = json.loads(path.read_bytes())
                moments = {name: datetime.fromisoformat(facts[name]) for name in ("began_at", "ended_at")}
                base = Base(**{**facts, **moments})
                if base.name == path.parent.name:  # else it is not finished, or being forgotten
                    found.append(base)
        return sorted(found, key=lambda base: base.ended_at)

    def segments(self) -> Sequence[str]:
        """The name of every segment that is here."""
        names = (path.name.removesuffix(SUFFIX) for path in self.wal_dir.glob(f"*{SUFFIX}"))
        return sorted(name for name in names if len(name) == 24)

    def segment(self, name: str) -> Path:
        """The file of a segment."""
        return self.wal_dir / f"{name}{SUFFIX}"

    def data(self, base: Base) -> Path:
        """The cluster that a base backup holds."""
        return self.base_dir / base.name / "data"

    def password(self, base: Base) -> str:
        """The password file of the server at that time, without which nobody logs in to the copy."""
        return (self.base_dir / base.name / "pgpass").read_text()

    def check(self, bin_dir: Path | None = None) -> Check:
        """Read everything: the bases against their manifests and checksums, the log for gaps and damage."""
        if not self.base_dir.is_dir() or not self.wal_dir.is_dir():
            raise EmbeddedPostgresError(f"{self.folder} is no archive: it has no folders base and wal.")
        bases = self.bases()
        damaged = [f"base/{base.name}" for base in bases if not self._verifies(base, bin_dir)]
        log = follow(self.segments(), bases[0].first_segment) if bases else Log((), None)
        damaged += [f"wal/{name}{SUFFIX}" for name in log.segments if not is_whole(self.segment(name))]
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        last = self.segment(log.segments[-1]).stat().st_mtime if log.segments else None
        return Check(
            self.folder,
            bases,
            len(log.segments),
            sum(path.stat().st_size for path in files),
            bases[0].ended_at if bases else None,
            None if last is None else datetime.fromtimestamp(last, bases[0].ended_at.tzinfo),
            log.missing,
            damaged,
        )

    def _verifies(self, base: Base, bin_dir: Path | None) -> bool:
        command = binary("pg_verifybackup", bin_dir), "--quiet", self.data(base)
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603

    def _run(self, *command: str | Path) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            said = next((line for line in lines if "error:" in line), f"it ended with {done.returncode}")
            raise EmbeddedPostgresError(f"The base backup was not made: {said}")


def _write(path: Path, text: str) -> None:
    """Write a file that only we can read, and wait until the disk has it."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
