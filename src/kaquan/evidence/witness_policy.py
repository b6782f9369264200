"""Whom a reader trusts: the keys of logs, and how many of which witnesses must have cosigned (C2SP tlog-policy).

The same file serves the worker, which asks the witnesses whose addresses it names, and whoever verifies a receipt.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from kaquan.evidence.note import (
    Algorithm,
    Checkpoint,
    LogKey,
    NoteError,
    open_note,
    read_checkpoint,
    read_key,
)

MAX_WITNESSES = 12
"""With the keys of a log they are no more signatures than every reader of notes takes (signed-note: 16)."""


class Witness(NamedTuple):
    """A witness as a policy names it. ``url`` is where it takes checkpoints, if that is known."""

    key: LogKey
    url: str | None = None


class WitnessPolicy(NamedTuple):
    """Which logs are trusted, and which witnesses must have cosigned a checkpoint (C2SP tlog-policy).

    ``groups``: how many of which members make a group. ``quorum`` is a witness or a group; None asks for nobody.
    """

    logs: tuple[LogKey, ...] = ()
    witnesses: Mapping[str, Witness] = {}
    groups: Mapping[str, tuple[int, tuple[str, ...]]] = {}
    quorum: str | None = None

    @property
    def keys(self) -> list[LogKey]:
        """The keys of its witnesses."""
        return [witness.key for witness in self.witnesses.values()]

    def is_met_by(self, signed_by: Collection[LogKey]) -> bool:
        """Whether the signatures of these keys are enough."""

        def counts(name: str) -> bool:
            witness = self.witnesses.get(name)
            if witness is not None:
                return witness.key in signed_by
            needed, members = self.groups[name]
            return sum(map(counts, members)) >= needed

        return self.quorum is None or counts(self.quorum)


NO_WITNESSES = WitnessPolicy()
"""Asks for no witness."""


def open_checkpoint(note: str, keys: Sequence[LogKey], witnesses: WitnessPolicy = NO_WITNESSES) -> Checkpoint:
    """The checkpoint in a note that one of ``keys`` signed, of the log that this key names, and that as many witnesses
    cosigned as ``witnesses`` wants. Raises NoteError."""
    text, signed_by = open_note(note, [*keys, *witnesses.keys])
    checkpoint = read_checkpoint(text)
    by_log = [key.name for key in signed_by if key.algorithm is not Algorithm.COSIGNATURE]
    if not by_log:
        raise NoteError("not signed by the key that was given")
    if checkpoint.origin not in by_log:
        raise NoteError("the checkpoint is of another log than the key")
    if not witnesses.is_met_by(signed_by):
        raise NoteError("cosigned by fewer witnesses than the policy wants")
    return checkpoint


def read_policy(text: str) -> WitnessPolicy:
    """The policy of a file in the form of C2SP tlog-policy. Raises NoteError naming the line."""
    logs: list[LogKey] = []
    witnesses: dict[str, Witness] = {}
    groups: dict[str, tuple[int, tuple[str, ...]]] = {}
    quorums: list[str] = []
    grouped: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        wrong = NoteError(f"line {number} of the policy is wrong: {line.strip()!r}")
        known = {*witnesses, *groups}
        match words:
            case ["log", key, *url] if len(url) <= 1:
                logs.append(read_key(key))
                if logs[-1].algorithm is Algorithm.COSIGNATURE or len({log.public for log in logs}) < len(logs):
                    raise wrong
            case ["witness", name, key, *url] if name not in known and name != "none" and len(url) <= 1:
                witnesses[name] = Witness(read_key(key), url[0] if url else None)
                publics = {witness.key.public for witness in witnesses.values()}
                if witnesses[name].key.algorithm is not Algorithm.COSIGNATURE or len(publics) < len(witnesses):
                    raise wrong
            case ["group", name, needed, *members] if name not in known and name != "none":
                grouped += members
                count = {"any": 1, "all": len(members)}.get(
                    needed, int(needed) if needed.isdecimal() and needed.isascii() else 0
                )
                if not 1 <= count <= len(members) or not known >= set(members) or len(set(grouped)) < len(grouped):
                    raise wrong
                groups[name] = count, tuple(members)
            case ["quorum", name] if name == "none" or name in known:
                quorums.append(name)
            case _:
                raise wrong
    if len(quorums) != 1:
        raise NoteError("a policy has one line quorum")
    if len(witnesses) > MAX_WITNESSES:
        raise NoteError(f"a policy has {MAX_WITNESSES} witnesses at the most")
    return WitnessPolicy(tuple(logs), witnesses, groups, None if quorums[0] == "none" else quorums[0])
