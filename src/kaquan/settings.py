"""Configuration: read once, from the environment, at the start of a command."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

SYSTEM_HOME = Path("/var/lib/kaquan")


class SettingsError(Exception):
    """A setting has a value that it may not have; the message names it and what is allowed."""


class Settings(msgspec.Struct, frozen=True):
    """Everything that an installation can set. Each field is read from ``KAQUAN_<NAME>``."""

    home: Path = Path(".kaquan")
    """Folder of the embedded database, the key ring and logs; see :func:`default_home`."""
    database_url: str | None = None
    """A PostgreSQL 15-18 of yours instead of the embedded one (libpq URL or key=value). The login must be a member of
    the role kaquan_app; one that migrates must own the database and be a member of kaquan_ledger too."""
    keyring: Path | None = None
    """File of the keys for card numbers; default: ``keyring.json`` in ``home``. Back it up apart from the database."""
    keyring_passphrase: str | None = None
    """What the key ring is sealed under, if it is; see ``kaquan vault protect``."""
    host: str = "127.0.0.1"
    port: int = 8420
    workers: int = 0
    """Server processes; each has one batcher per slot. 0: one per two cores, since PostgreSQL wants the other half
    (ADR 0013)."""
    pool_size: int = 6
    """Database sessions of a server process at the most, besides two for each slot."""
    max_batch: int = 128
    """Requests that share one commit at the most."""
    max_queue: int = 2_000
    """Requests that wait at the most, in each slot of a process, before new ones are answered 503."""
    max_body_bytes: int = 65_536
    webhook_private: bool = False
    """Whether webhooks may go to private and local addresses, and over http: for trying things out."""
    idempotency_days: int = 30
    """How long the first answer to a key is kept."""
    guesses_per_card: int = 1_000_000
    """How many numbers a guesser must try at the least, on average, to meet one card; a batch that would make it fewer
    is refused."""
    max_wrong_numbers: int = 50
    """Answers that one client gets to numbers, secrets and PINs that are wrong before it is told to wait (429)."""
    wrong_numbers_window_s: int = 3_600
    """How long it takes until a client that was told to wait has all those answers again."""
    max_import_bytes: int = 16_777_216
    """Size of a file of foreign cards at the most."""
    log_origin: str | None = None
    """What the transparency log is called, such as ``cards.example/log``: set it before the log begins, for a log keeps
    its name. Without it a name is drawn."""
    log_directory: Path | None = None
    """Folder in which the worker publishes the log as files besides, for a web server or a bucket apart from this one;
    the log is not continued where it contradicts what lies there."""
    log_witnesses: Path | None = None
    """File of the witnesses that the worker asks to cosign the log, and of how many must (C2SP tlog-policy); with it
    only checkpoints that enough of them cosigned are published and in receipts."""
    identity_provider: str = "sandbox"
    """The kind of provider that checks customers. The sandbox knows invented people and serves test books only."""
    identity_timeout_ms: int = 5_000
    """How long an identity provider may take to answer."""
    clock_offset: Path | None = None
    """For simulations: a file that says by how many seconds the clock of this server is wrong."""
    approval_hours: int = 72
    """How long a proposal waits for its approval and execution unless it says otherwise."""

    def __repr__(self) -> str:
        return f"Settings(home={str(self.home)!r})"  # some of them are secrets

    @property
    def processes(self) -> int:
        """How many server processes there are to be."""
        return self.workers or max(1, (os.cpu_count() or 2) // 2)

    @property
    def keyring_path(self) -> Path:
        return self.keyring or self.home / "keyring.json"


_BOUNDS = {
    "port": (1, 65_535),
    "workers": (0, 64),
    "pool_size": (2, 100),
    "max_batch": (1, 1_000),
    "max_queue": (1, 1_000_000),
    "max_body_bytes": (1_024, 16_777_216),
    "idempotency_days": (1, 3_650),
    "guesses_per_card": (1_000, 1_000_000_000),
    "max_wrong_numbers": (1, 100_000),
    "wrong_numbers_window_s": (1, 86_400),
    "max_import_bytes": (1_024, 268_435_456),
    "identity_timeout_ms": (10, 60_000),
    "approval_hours": (1, 2_160),
}


def default_home() -> Path:
    """``.kaquan`` in the current folder; ``/var/lib/kaquan`` when root works in a folder that is closed to others.

    Root's database runs as another user, who must be able to enter the folders above it.
    """
    here = Path.cwd() / ".kaquan"
    above = [folder for folder in (here, *here.parents) if folder.exists()]
    closed = os.geteuid() == 0 and not all(folder.stat().st_mode & 0o001 for folder in above)
    return SYSTEM_HOME if closed else here


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises SettingsError naming the variable and what is allowed."""
    given: dict[str, object] = {"home": default_home()}
    for field in msgspec.structs.fields(Settings):
        name = f"KAQUAN_{field.name.upper()}"
        text = environment.get(name)
        if text is None or text == "":
            continue
        try:
            given[field.name] = (
                Path(text) if "path" in str(field.type).lower() else msgspec.convert(text, field.type, strict=False)
            )
        except msgspec.ValidationError as error:
            raise SettingsError(f"{name}={text!r}: {error}") from error
    settings = Settings(**given)  # type: ignore[arg-type]
    for name, (low, high) in _BOUNDS.items():
        if not low <= getattr(settings, name) <= high:
            raise SettingsError(f"KAQUAN_{name.upper()}: must be from {low} to {high}")
    return settings
