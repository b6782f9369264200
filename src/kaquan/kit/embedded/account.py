"""The operating-system user who runs the server, and the private files and folders that are his."""

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kaquan.kit.embedded.binaries import EmbeddedPostgresError, Identity

SOCKET_PATH_LIMIT_BYTES = 103  # macOS; Linux allows 107


def user_name(uid: int) -> str:
    """Name of a user, or the number: a container may run as a number without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def socket_path(socket_dir: Path, port: int) -> str:
    """The socket that PostgreSQL makes in `socket_dir`."""
    return f"{socket_dir}/.s.PGSQL.{port}"


def _fits(socket_dir: Path) -> bool:
    path = socket_path(socket_dir, 65535)
    # libpq reads a comma as the end of one host and the start of the next
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT_BYTES and "," not in path


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the server: ourselves, or under root somebody unprivileged."""

    name: str
    uid: int
    gid: int

    @classmethod
    def choose(cls, data: Path, preferred: str | None) -> "Account":
        """The owner of `data`; under root, for a new folder, `preferred` or `postgres` or `nobody`.

        Raises `EmbeddedPostgresError` if that user may not run the server or there is none.
        """
        uid = os.geteuid()
        owner = data.stat() if data.exists() else None
        if uid != 0 and owner is not None and owner.st_uid != uid:
            raise EmbeddedPostgresError(
                f"The database in {data.parent} belongs to the user {user_name(owner.st_uid)}: "
                "run the command as that user or as root, or choose another folder."
            )
        if uid != 0:
            return cls(user_name(uid), uid, os.getegid())
        if owner is not None and owner.st_uid == 0:
            raise EmbeddedPostgresError(
                f"{data} belongs to root, as whom PostgreSQL never runs: give it to another user (chown -R)."
            )
        if owner is not None:
            return cls(user_name(owner.st_uid), owner.st_uid, owner.st_gid)
        names = [preferred] if preferred else ["postgres", "nobody"]
        for name in names:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            if entry.pw_uid != 0:
                return cls(name, entry.pw_uid, entry.pw_gid)
        raise EmbeddedPostgresError(
            f"PostgreSQL refuses to run as root, and there is no unprivileged user {' or '.join(names)}: "
            "name an existing one in KAQUAN_DATABASE_USER."
        )

    def identity(self) -> Identity:
        """How a program is run as this user."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": [self.gid]}

    def own_dir(self, path: Path) -> None:
        """Make a folder that only this user can read."""
        path.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)

    def write(self, path: Path, text: str) -> None:
        """Write a file that only this user can read.

        It is made anew, so that root never writes through a link which another user laid.
        """
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), self.uid, self.gid)

    def socket_dir(self, run: Path) -> Path:
        """`run`, or the folder it points to: a short temporary one if its path is too long for a socket."""
        if run.is_symlink():
            target = run.resolve()
            if target.is_dir():
                found = target.stat()
                if found.st_uid == self.uid and stat.S_IMODE(found.st_mode) == 0o700:
                    return target
            run.unlink()  # a reboot or a cleaner took the short folder away
        if _fits(run):
            self.own_dir(run)
            return run
        runtime = os.environ.get("XDG_RUNTIME_DIR")  # of the caller, hence closed to another user
        base = runtime if runtime and os.geteuid() != 0 and Path(runtime).is_dir() else None
        short = Path(tempfile.mkdtemp(prefix="kaquan-", dir=base))
        if not _fits(short):
            short.rmdir()
            raise EmbeddedPostgresError(f"{short} is too long for a socket: set TMPDIR to a shorter path.")
        self.own_dir(short)
        if run.exists():
            shutil.rmtree(run)  # the folder was moved here from a shorter path
        run.symlink_to(short)
        return short
