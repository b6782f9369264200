"""A witness (C2SP tlog-witness): it cosigns checkpoints of logs that it knows, each only if it extends the last one.

It needs no database: its key and the last checkpoint of each log are one small file, which is replaced whole and on the
disk before a cosignature is out, so that a crash never makes it forget what it signed. One process at a time has it.
Put back an old copy of that file and it may cosign a fork: keep it on one disk, and in no backup that is restored.
"""

import asyncio
import base64
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from kaquan.evidence.note import (
    Algorithm,
    Checkpoint,
    LogKey,
    NoteError,
    Signer,
    cosign,
    decode,
    encode,
    is_key_name,
    open_note,
    read_checkpoint,
    read_key,
)
from kaquan.evidence.tree import EMPTY_ROOT, HASH_BYTES, extends
from kaquan.kit.clock import Clock

MAX_REQUEST_BYTES = 65_536
MAX_PROOF_LINES = 63
MAX_FORKS = 1_000
"""Forks that are kept; who replays old checkpoints with wrong proofs shall not fill the disk."""

SIZE_TYPE = "text/x.tlog.size"
"""The media type of the answer that tells the size which the witness knows."""


class WitnessError(Exception):
    """A witness cannot be made or opened; the message says why."""


class AddCheckpoint(NamedTuple):
    """A request: the size that the log believes the witness has seen, the proof from there, and the checkpoint."""

    old_size: int
    proof: list[bytes]
    note: str

    @property
    def text(self) -> str:
        """As it is sent."""
        return "".join([f"old {self.old_size}\n", *(f"{encode(node)}\n" for node in self.proof), "\n", self.note])


class WitnessAnswer(NamedTuple):
    """What is answered: an HTTP status and a text."""

    status: int
    text: str
    media_type: str = "text/plain; charset=utf-8"


class KnownLog(msgspec.Struct, frozen=True):
    """A log that a witness follows: its keys, and its last checkpoint that was cosigned."""

    keys: list[str]
    size: int = 0
    root: str = encode(EMPTY_ROOT)
    note: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    name: str
    seed: str
    logs: dict[str, KnownLog] = {}


class _Fork(msgspec.Struct, frozen=True):
    """Two checkpoints that one log signed, and that do not go together."""

    at_s: int
    cosigned: str
    shown: str


def read_request(body: bytes) -> AddCheckpoint:
    """The request in a body. Raises NoteError."""
    try:
        head, blank, note = body.decode().partition("\n\n")
    except UnicodeDecodeError:
        raise NoteError("not UTF-8") from None
    first, *lines = head.split("\n")
    old = first.removeprefix("old ")
    if not blank or old == first or not old.isdecimal() or not old.isascii() or str(int(old[:20])) != old:
        raise NoteError("expected a line with the old size")
    proof = [decode(line) for line in lines]
    if len(proof) > MAX_PROOF_LINES or any(len(node) != HASH_BYTES for node in proof):
        raise NoteError("expected up to 63 hashes")
    return AddCheckpoint(int(old), proof, note)


class Witness:
    """A witness with its file, which nobody else may have open. Ended by :meth:`close`."""

    def __init__(self, path: Path, clock: Clock, make_signer: Callable[[bytes], Signer]) -> None:
        """Open the file of a witness; ``make_signer`` makes the signer of its seed. Raises WitnessError."""
        self._path, self._clock = path, clock
        self._lock = os.open(path.with_name(f"{path.name}.lock"), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = _read(path)
        except OSError:
            os.close(self._lock)
            raise WitnessError(f"Another process has the witness {path}.") from None
        except WitnessError:
            os.close(self._lock)
            raise
        self._signer = make_signer(base64.b64decode(self._file.seed))
        self._busy = asyncio.Lock()

    def close(self) -> None:
        """Let another process have the file."""
        os.close(self._lock)

    @property
    def key(self) -> LogKey:
        """Its public key."""
        return LogKey(self._file.name, self._signer.public, Algorithm.COSIGNATURE)

    @property
    def logs(self) -> dict[str, KnownLog]:
        """The logs that it follows, by their origin."""
        return dict(self._file.logs)

    def follow(self, key: LogKey) -> None:
        """Follow a log, or take another key of one that it follows."""
        known = self._file.logs.get(key.name, KnownLog([]))
        if key.text not in known.keys:
            self._keep(key.name, replace(known, keys=[*known.keys, key.text]))

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Cosign a checkpoint that extends the last one. Statuses are those of tlog-witness: 400 for what is no
        request, 404 an unknown log, 403 another signature, 409 another old size, 422 a proof that proves nothing."""
        try:
            request = read_request(body)
            origin = request.note.partition("\n")[0]
        except NoteError as error:
            return WitnessAnswer(400, f"{error}\n")
        async with self._busy:  # what is compared is what is kept, until the new one is on the disk
            known = self._file.logs.get(origin)
            if known is None:
                return WitnessAnswer(404, "a log that this witness does not follow\n")
            try:
                text, _ = open_note(request.note, [read_key(key) for key in known.keys])
                shown = read_checkpoint(text)
            except NoteError as error:
                return WitnessAnswer(403, f"{error}\n")
            refused = await self._judge(known, shown, request)
            if refused is not None:
                return refused
            at_s = int(self._clock.now().timestamp())
            line = cosign(text, self.key, self._signer, at_s=at_s)
            after = replace(known, size=shown.size, root=encode(shown.root), note=request.note)
            if after != known:
                await asyncio.to_thread(self._keep, origin, after)
        return WitnessAnswer(200, line)

    async def _judge(self, known: KnownLog, shown: Checkpoint, request: AddCheckpoint) -> WitnessAnswer | None:
        """Why a signed checkpoint is not cosigned."""
        root = decode(known.root)
        if request.old_size > shown.size:
            return WitnessAnswer(400, "the old size is above that of the checkpoint\n")
        is_other = shown.size == known.size and shown.root != root
        if is_other:
            await asyncio.to_thread(self._keep_fork, known, request)
        if request.old_size != known.size or is_other:
            return WitnessAnswer(409, f"{known.size}\n", SIZE_TYPE)
        if not extends(root, shown.root, request.proof, old_size=known.size, new_size=shown.size):
            await asyncio.to_thread(self._keep_fork, known, request)
            return WitnessAnswer(422, "the proof does not lead from the last cosigned checkpoint to this one\n")
        return None

    def _keep(self, origin: str, known: KnownLog) -> None:
        after = replace(self._file, logs={**self._file.logs, origin: known})
        _write(self._path, after)
        self._file = after

    def _keep_fork(self, known: KnownLog, request: AddCheckpoint) -> None:
        """Keep what a log signed that does not go with what it signed before, once: it may be proof of a fork."""
        path = self._path.with_name(f"{self._path.name}.forks")
        before = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [msgspec.json.decode(line, type=_Fork) for line in before]
        if len(kept) >= MAX_FORKS or any(fork.shown == request.note for fork in kept):
            return
        fork = _Fork(int(self._clock.now().timestamp()), known.note, request.note)
        with path.open("ab") as stream:
            stream.write(msgspec.json.encode(fork) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


def create_witness(path: Path, name: str, seed: bytes) -> None:
    """Make the file of a new witness. Raises WitnessError if there is one, or for a name that is none."""
    if not is_key_name(name):
        raise WitnessError(f"A witness cannot be called {name!r}: no spaces and no plus sign.")
    if path.exists():
        raise WitnessError(f"There is a witness at {path} already; it is never overwritten.")
    _write(path, _File(1, name, base64.b64encode(seed).decode()))


def _read(path: Path) -> _File:
    try:
        file = msgspec.json.decode(path.read_bytes(), type=_File)
        if file.format != 1 or len(base64.b64decode(file.seed, validate=True)) != HASH_BYTES:
            raise ValueError
    except FileNotFoundError:
        raise WitnessError(f"There is no witness at {path}; make one: kaquan witness init.") from None
    except (msgspec.DecodeError, ValueError):
        raise WitnessError(
            f"The witness {path} is damaged. Do not restore an old copy: make a new witness with another key."
        ) from None
    return file


def _write(path: Path, file: _File) -> None:
    draft = path.with_name(f"{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.format(msgspec.json.encode(file)) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
