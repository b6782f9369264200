"""Restore: from an archive to a new database, as of any moment that the archive covers."""

import os
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from kaquan.kit.embedded import binaries, config
from kaquan.kit.embedded.account import Account
from kaquan.kit.embedded.archive import Archive, Base, choose_base
from kaquan.kit.embedded.binaries import EmbeddedPostgresError
from kaquan.kit.embedded.segments import SEGMENT_BYTES, Log, fetch_command, follow, is_whole, read_lsn, segment_number
from kaquan.kit.embedded.server import EmbeddedPostgres, ServerState

REPLAY_TIMEOUT_S = 7 * 86_400.0
_LAST_TRANSACTION = re.compile(r"last completed transaction was at log time (\S+ \S+)")
_TOO_SHORT = "recovery ended before configured recovery target was reached"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. ``last_transaction_at`` (UTC) is the last commit of the log; None: none since the base."""

    folder: Path
    base: Base
    segments: int
    last_transaction_at: datetime | None


def restore(archive: Archive, folder: Path, *, to: datetime | None, bin_dir: Path | None = None) -> Restored:
    """Make in ``folder``, which must be new, a database as it was at ``to`` (None: as far as the archive goes).

    Everything that was acknowledged before that moment is in it. It is stopped, and keeps no archive of its own yet.
    Nothing stays of a restore that fails or is interrupted. Raises `EmbeddedPostgresError`.
    """
    server = EmbeddedPostgres(folder, bin_dir=bin_dir, timeout_s=REPLAY_TIMEOUT_S)
    _check_place(server)
    base = _find_base(archive, to)
    _check_version(base, bin_dir)
    log = follow(archive.segments(), base.first_segment)
    try:
        log = _lay_out(archive, base, log, server)
        if to is None and log.missing is not None:
            raise EmbeddedPostgresError(_gap(archive, base, log))
        last = _replay(archive, base, log, server, to)
    except BaseException:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)
        raise
    return Restored(server.folder, base, len(log.segments), last)


def _check_place(server: EmbeddedPostgres) -> None:
    folder = server.folder
    if (server.data / "postmaster.pid").exists() and server.status().state is not ServerState.STOPPED:
        raise EmbeddedPostgresError(f"A database runs in {folder}: restore into a new folder.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise EmbeddedPostgresError(f"{folder} is not empty, and a restore never overwrites: name a new folder.")


def _find_base(archive: Archive, to: datetime | None) -> Base:
    bases = archive.bases()
    if not bases:
        raise EmbeddedPostgresError(f"{archive.folder} holds no base backup: name the folder of an archive.")
    base = choose_base(bases, to)
    if base is None:
        raise EmbeddedPostgresError(
            f"No base backup had ended by then: the earliest moment that {archive.folder} can restore is "
            f"{bases[0].ended_at.isoformat()}."
        )
    return base


def _check_version(base: Base, bin_dir: Path | None) -> None:
    version = binaries.server_version(bin_dir or binaries.wheel_bin_dir(), {})
    if base.postgres != version.partition(".")[0]:
        raise EmbeddedPostgresError(
            f"The archive was made by PostgreSQL {base.postgres} and this is PostgreSQL {version}: restore with the "
            "release of kaquan that made it."
        )


def _lay_out(archive: Archive, base: Base, log: Log, server: EmbeddedPostgres) -> Log:
    """Copy what is needed to where the server's user may read it; the log as far as it is whole."""
    account = Account.choose(server.data, os.environ.get("KAQUAN_DATABASE_USER"))
    server.folder.mkdir(parents=True, exist_ok=True)
    server.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        shutil.copytree(archive.data(base), server.data)
    except shutil.Error as error:  # one for each file
        _, copy, why = error.args[0][0]
        raise EmbeddedPostgresError(f"The base backup cannot be copied to {copy}: {why}") from error
    account.write(server.passfile, archive.password(base))
    replay = server.folder / "replay"
    account.own_dir(replay)
    for done, name in enumerate(log.segments):
        copy = Path(shutil.copyfile(archive.segment(name), replay / archive.segment(name).name))
        if not is_whole(copy):
            log = Log(log.segments[:done], name)
            break
    if os.geteuid() == 0:
        for path in (server.data, *server.data.rglob("*"), *replay.iterdir()):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
    return log


def _replay(archive: Archive, base: Base, log: Log, server: EmbeddedPostgres, to: datetime | None) -> datetime | None:
    """Run the server until it has replayed the log; when the last transaction in it was committed."""
    replay = server.folder / "replay"
    settings = server.data / "postgresql.auto.conf"
    own = settings.read_bytes()
    wanted = {
        "restore_command": fetch_command(replay),
        "recovery_target_timeline": "current",  # an archive has but one
        "recovery_target_action": "promote",
        "hot_standby": "off",  # so that it is ready only when it has replayed all
    }
    if to is not None:
        wanted["recovery_target_time"] = to.isoformat()
    with settings.open("a") as file:
        file.writelines(f"{name} = {config.quote(value)}\n" for name, value in wanted.items())
    (server.data / "recovery.signal").touch()
    try:
        server.start()
    except EmbeddedPostgresError as error:
        if _TOO_SHORT in _log_of(server):
            raise EmbeddedPostgresError(_too_short(archive, base, log, server)) from error
        raise
    server.stop()
    settings.write_bytes(own)
    shutil.rmtree(replay)
    if to is None and log.segments and _replayed_segment(server) < segment_number(log.segments[-1]):
        raise EmbeddedPostgresError(
            f"The log in {archive.wal_dir} cannot be replayed beyond {_last_transaction(server)}, where a segment is "
            "damaged: restore to that moment."
        )
    return _last_transaction(server)


def _gap(archive: Archive, base: Base, log: Log) -> str:
    until = base.ended_at
    if log.segments:
        kept_at = archive.segment(log.segments[-1]).stat().st_mtime
        until = max(until, datetime.fromtimestamp(kept_at, until.tzinfo))
    return (
        f"{archive.wal_dir} lacks the segment {log.missing}, or has it damaged, and what came after it cannot be "
        f"restored: name a moment before {until.isoformat(timespec='seconds')}."
    )


def _too_short(archive: Archive, base: Base, log: Log, server: EmbeddedPostgres) -> str:
    if log.missing is not None:
        return _gap(archive, base, log)
    last = _last_transaction(server) or base.ended_at
    return (
        f"The archive ends before that moment, with the transaction of {last.isoformat()}: restore to latest, or copy "
        "what the lost server left in its data/pg_wal."
    )


def _log_of(server: EmbeddedPostgres) -> str:
    return "".join(path.read_text(errors="replace") for path in sorted(server.log_dir.glob("*.log")))


def _last_transaction(server: EmbeddedPostgres) -> datetime | None:
    found = _LAST_TRANSACTION.findall(_log_of(server))
    return datetime.fromisoformat(found[-1]) if found else None


def _replayed_segment(server: EmbeddedPostgres) -> int:
    """The segment in which the server left the log that it was given, by the history of its own."""
    history = max((server.data / "pg_wal").glob("*.history")).read_text().strip().splitlines()[-1]
    return (read_lsn(history.split()[1]) - 1) // SEGMENT_BYTES
