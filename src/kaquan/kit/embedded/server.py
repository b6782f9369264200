"""One folder, one database server: make it, start it, watch it, stop it."""

import contextlib
import enum
import errno
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from kaquan.kit.embedded import binaries, config, segments, watcher
from kaquan.kit.embedded.account import Account, socket_path, user_name
from kaquan.kit.embedded.binaries import EmbeddedPostgresError

SUPERUSER = "postgres"
DEFAULT_PORT = 5432  # without TCP it is only a part of the socket's file name
STOP_TIMEOUT_S = 120.0
POLL_S = 0.02
LOG_TAIL_BYTES = 4096
LOG_TAIL_LINES = 8


class ServerState(enum.Enum):
    """What a server does at this moment; `CHANGING` means that it starts, recovers or stops."""

    STOPPED = "stopped"
    CHANGING = "changing"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A look at a folder. `owned` says that the server ends with the object that was asked."""

    folder: Path
    state: ServerState
    pid: int | None
    owned: bool


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """What a server says about itself in `postmaster.pid`."""

    pid: int
    port: int
    socket_dir: Path
    ready: bool

    def answers(self) -> bool:
        """Whether a server listens; the file alone does not prove it, since a killed server leaves it."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(socket_path(self.socket_dir, self.port))
            except BlockingIOError:  # it listens, with a full queue
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True


class EmbeddedPostgres:
    """The database server on one folder.

    What the folder holds: `data` (the cluster), `pgpass` (generated password of the superuser `postgres`),
    `run` (the socket), `log`, `startup.log`, `lock`, and `archive` if it keeps one. Only the user of the
    server can read them.

    Who owns the server: the object whose `start()` launched it. The server ends with that process, however
    the process ends, or with `stop()`, or when the object is garbage collected. If a server already runs on
    the folder, `start()` attaches to it: nothing is launched, its configuration stays, and `stop()` leaves it
    alone. After `start(supervised=False)` nobody owns it and it runs until `stop_running()`. A process that
    was forked from the owner without exec counts as the owner too.

    Never two servers: the server and all its processes hold an flock on `lock`, which the kernel drops when
    they end, so neither a reused process id nor a reboot leaves anything to clean up.

    Started by root: PostgreSQL refuses root, so the server runs as the owner of `data`; for a new folder as
    `user`, else as $KAQUAN_DATABASE_USER, else as `postgres` or `nobody`. Users are never created.

    `port` opens TCP on 127.0.0.1; without it there is only the socket. `bin_dir` names the programs of
    another PostgreSQL than the wheel's. Every failure an operator can mend is an `EmbeddedPostgresError`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        bin_dir: Path | None = None,
        user: str | None = None,
        timeout_s: float = 300.0,
    ) -> None:
        """Name a folder; nothing happens before `start()`. `timeout_s` bounds a start with its recovery."""
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self.log_dir = self.folder / "log"
        self.passfile = self.folder / "pgpass"
        self._startup_log = self.folder / "startup.log"
        self._archive_file = self.folder / "archive"
        self._port = port
        self._bin_dir = bin_dir
        self._user = user or os.environ.get("KAQUAN_DATABASE_USER")
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start, or attach."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what `__enter__` launched."""
        self.stop()

    # The public verbs

    def start(self, *, supervised: bool = True) -> str:
        """Make the cluster if there is none, start the server or attach to a running one.

        Returns the conninfo when the server accepts connections. Raises `EmbeddedPostgresError`.
        """
        if not self._owns():
            self.stop()  # forget a server that has died
        deadline = time.monotonic() + self._timeout_s
        with self._plain_errors():
            account = Account.choose(self.data, self._user)
            self._prepare_folder(account)
            while not self._launch_or_attach(account):
                self._pause(deadline)
            if self._process is not None:
                self._await_ready(self._process, deadline)
                if not supervised:
                    self._process.communicate(watcher.DETACH)
                    self._process = None
        return self.conninfo()

    def stop(self) -> None:
        """Stop the server if this object launched it; open transactions are rolled back."""
        if self._process is None:
            return
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise self._does_not_stop() from error
        self._process = None

    def stop_running(self) -> None:
        """Stop the server on this folder, whoever launched it; without one do nothing."""
        self.stop()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        with self._plain_errors():
            if (live := self._live()) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(live.pid, signal.SIGINT)
            while live is not None and self._postmaster() is not None:
                if time.monotonic() > deadline:
                    raise self._does_not_stop()
                time.sleep(POLL_S)

    def status(self) -> ServerStatus:
        """Look whether a server runs on the folder; changes nothing."""
        with self._plain_errors():
            live = self._live()
        if live is None:
            return ServerStatus(self.folder, ServerState.STOPPED, None, owned=False)
        state = ServerState.RUNNING if live.ready else ServerState.CHANGING
        return ServerStatus(self.folder, state, live.pid, owned=self._owns())

    def conninfo(self, database: str = "postgres") -> str:
        """Where the running server is, for libpq and psycopg: by the socket, as the superuser.

        It names the password file and not the password, so it may be logged or given on a command line.
        """
        with self._plain_errors():
            live = self._live()
        if live is None:
            raise EmbeddedPostgresError(f"No database server runs on {self.folder}: start it first.")
        values = {
            "host": str(live.socket_dir),
            "port": str(live.port),
            "user": SUPERUSER,
            "dbname": database,
            "passfile": str(self.passfile),
        }
        escaped = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in values.items()}
        return " ".join(f"{name}='{value}'" for name, value in escaped.items())

    @property
    def archive(self) -> Path | None:
        """The folder in which the server keeps every segment of its log; see :class:`kaquan.kit.embedded.Archive`."""
        try:
            return Path(self._archive_file.read_text())
        except FileNotFoundError:
            return None

    def archive_to(self, place: Path | None) -> None:
        """Keep the log in ``place`` (None: nowhere) from the next start on, whoever starts it."""
        if place is None:
            self._archive_file.unlink(missing_ok=True)
        else:
            self._archive_file.write_text(str(place))

    def binary(self, name: str) -> Path:
        """Path of a client program that fits this server (`psql` …); see `binaries.binary`."""
        return binaries.binary(name, self._bin_dir)

    # Is a server there, and is it ours?

    def _owns(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _postmaster(self) -> _Postmaster | None:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        if len(lines) < 8:  # the server is still writing it
            return None
        return _Postmaster(int(lines[0]), int(lines[3]), Path(lines[4]), lines[7].strip() == "ready")

    def _live(self) -> _Postmaster | None:
        postmaster = self._postmaster()
        return postmaster if postmaster is not None and postmaster.answers() else None

    def _try_lock(self) -> int | None:
        """The locked descriptor of `lock`, or None while a server or another start holds it."""
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    # Start

    def _prepare_folder(self, account: Account) -> None:
        if not self.folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)  # the server's user must pass, not read
        enter = binaries.run(["/bin/sh", "-c", 'cd -- "$0"', self.folder], account.identity())
        if enter.returncode:
            raise EmbeddedPostgresError(
                f"The database server runs as the user {account.name}, who may not enter {self.folder}: "
                "choose a folder that this user can reach, such as one under /var/lib or /srv."
            )

    def _launch_or_attach(self, account: Account) -> bool:
        """One attempt; False while another process starts or stops the server."""
        lock = self._try_lock()
        try:
            live = self._live()  # it may live without our lock: started by hand, or the folder is on NFS
            if live is None and lock is not None:
                self._launch(lock, account)
                return True
            return live is not None and live.ready
        finally:
            if lock is not None:
                os.close(lock)

    def _launch(self, lock: int, account: Account) -> None:
        self.stop()  # the lock is free, so a server that we had has died by now
        bin_dir, version = self._runnable(account)
        if not self.data.exists():
            self._create_cluster(bin_dir, account, lock)
        self._check_cluster(version)
        self._check_port()
        socket_dir = account.socket_dir(self.folder / "run")
        # No server holds the lock and none listens, so these are left from a killed one. PostgreSQL would
        # refuse to start if the process id in them now belongs to another program.
        for left in (self.data / "postmaster.pid", *socket_dir.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)
        self._write_config(bin_dir, socket_dir, account)
        account.write(self._startup_log, "")
        script = [sys.executable, "-I", "-S", watcher.__file__, json.dumps(account.identity()), str(lock)]
        with self._startup_log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*script, str(bin_dir / "postgres"), "-D", str(self.data)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                env=binaries.child_environment(),
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C reaches the owner only
            )

    def _runnable(self, account: Account) -> tuple[Path, str]:
        """Programs that the server's user may run, copied into the folder if they lie in a private place."""
        bin_dir = self._bin_dir or binaries.wheel_bin_dir()
        try:
            return bin_dir, binaries.server_version(bin_dir, account.identity())
        except PermissionError as error:
            if self._bin_dir is not None or os.geteuid() != 0:
                raise EmbeddedPostgresError(
                    f"The user {account.name} may not run {bin_dir}/postgres: allow it to, or use the wheel."
                ) from error
        shelter = self.folder / f"postgresql-{binaries.server_version(bin_dir, {})}"
        bin_dir = binaries.copy_wheel(bin_dir, shelter)
        return bin_dir, binaries.server_version(bin_dir, account.identity())

    def _create_cluster(self, bin_dir: Path, account: Account, lock: int) -> None:
        """Run initdb beside the final place: an interrupted first start leaves no half-made database.

        An initdb that outlives us keeps the lock, so that the next start waits before it clears the place.
        """
        unfinished = self.folder / "data.new"
        password_file = self.folder / "password.new"
        password = secrets.token_urlsafe(32)
        if unfinished.exists():
            shutil.rmtree(unfinished)
        account.own_dir(unfinished)
        account.write(self.passfile, f"*:*:*:{SUPERUSER}:{password}\n")
        account.write(password_file, password)
        options = ["--encoding=UTF8", "--locale=C", "--data-checksums", "--auth=scram-sha-256"]
        files = [f"--username={SUPERUSER}", f"--pwfile={password_file}", f"--pgdata={unfinished}"]
        try:
            done = binaries.run([bin_dir / "initdb", *options, *files], account.identity(), keep_open=(lock,))
        finally:
            password_file.unlink()
        if done.returncode:
            raise self._failure("The database could not be created", done.stderr)
        unfinished.rename(self.data)

    def _check_cluster(self, version: str) -> None:
        made_by = self.data / "PG_VERSION"
        if not made_by.is_file():
            raise EmbeddedPostgresError(f"{self.data} holds no PostgreSQL database: choose another folder.")
        old, new = made_by.read_text().strip(), version.partition(".")[0]
        if old != new:
            raise EmbeddedPostgresError(
                f"The database in {self.folder} was made by PostgreSQL {old} and this is PostgreSQL {new}: "
                f"use the programs of PostgreSQL {old}, or move the data with pg_dump or pg_upgrade."
            )
        if not self.passfile.is_file():
            raise EmbeddedPostgresError(
                f"The password file {self.passfile} is missing: restore it from the backup of the folder."
            )

    def _check_port(self) -> None:
        if self._port is None:
            return
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self._port))
            except OSError as error:
                raise EmbeddedPostgresError(
                    f"The database cannot listen on port {self._port} ({error.strerror}): choose another "
                    "port, or none and use the socket."
                ) from error

    def _write_config(self, bin_dir: Path, socket_dir: Path, account: Account) -> None:
        probe = [str(bin_dir / "postgres"), "-D", str(self.data), "-C", "wal_compression"]
        has_lz4 = binaries.run([*probe, "-c", "wal_compression=lz4"], account.identity()).returncode == 0
        account.own_dir(self.log_dir)
        text = config.render(
            socket_dir=socket_dir,
            log_dir=self.log_dir,
            port=self._port or DEFAULT_PORT,
            listen=self._port is not None,
            # pglz costs more than it saves: after a checkpoint, when whole pages are logged, a quarter of the rate
            wal_compression="lz4" if has_lz4 else "off",
            memory_bytes=config.usable_memory_bytes(),
            archive_command=None if self.archive is None else segments.keep_command(self.archive / "wal"),
        )
        account.write(self.data / "postgresql.conf", text)

    def _await_ready(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        while (live := self._live()) is None or not live.ready:
            if process.poll() is not None:
                self.stop()
                raise self._failure("The database server did not start", self._log_tail())
            self._pause(deadline)

    def _pause(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            self.stop()
            what = f"The database was not ready after {self._timeout_s:g} seconds"
            raise self._failure(what, self._log_tail())
        time.sleep(POLL_S)

    # What to say when it fails

    def _log_tail(self) -> str:
        # The server's logger is the last process to end: once the lock is free, everything has been written
        patience = time.monotonic() + 1
        while (lock := self._try_lock()) is None and time.monotonic() < patience:
            time.sleep(POLL_S)
        if lock is not None:
            os.close(lock)
        logs = sorted(self.log_dir.glob("*.log"), key=lambda path: path.stat().st_mtime)[-1:]
        # The startup log last: it holds nothing but this start, and all of it if the logger never ran
        found = [path.read_bytes()[-LOG_TAIL_BYTES:] for path in [*logs, self._startup_log] if path.exists()]
        return b"\n".join(found).decode(errors="replace")

    def _failure(self, what: str, output: str) -> EmbeddedPostgresError:
        if os.strerror(errno.ENOSPC) in output:
            return self._disk_full()
        tail = [line for line in output.splitlines() if line.strip()][-LOG_TAIL_LINES:]
        sentence = f"{what}; the end of its log ({self.log_dir}) says:"
        return EmbeddedPostgresError("\n".join([sentence, *tail]))

    def _disk_full(self) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(f"The disk of {self.folder} is full: free some space and start again.")

    def _does_not_stop(self) -> EmbeddedPostgresError:
        return EmbeddedPostgresError(
            f"The database on {self.folder} did not stop in {STOP_TIMEOUT_S:g} seconds: see {self.log_dir}."
        )

    @contextlib.contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Turn what the operating system refuses into a sentence."""
        try:
            yield
        except OSError as error:
            place = error.filename or self.folder
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise self._disk_full() from error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise EmbeddedPostgresError(
                    f"The user {user_name(os.geteuid())} may not use {place} ({error.strerror}): choose a "
                    "folder that this user may write, or run the command as the folder's owner or as root."
                ) from error
            raise EmbeddedPostgresError(f"The database cannot use {place}: {error.strerror}.") from error
