"""The transparency log as a whole, built again from the leaves: order, tiles, roots, signatures, keys, and its end."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kaquan.audit.log_rows import NO_LEAF, RECORD_BYTES, LogSort, read_log
from kaquan.audit.types import Audit, Judge, Row
from kaquan.evidence import Checkpoint, KeyLeafFacts, LogKey, NoteError, key_leaf_hash, key_of, open_checkpoint
from kaquan.evidence.tiles import WIDTH, root_of, split_hashes
from kaquan.evidence.tree import HASH_BYTES, perfect_root

_MAX_GAP = 1_000
"""A longer gap is told of, and not gone through."""


class _LogJudge:
    """Goes through a log from its beginning. Where a leaf and its tile differ it goes on with the tile, which was
    signed: so one altered leaf is one finding, and an altered tile is one more, at the next root."""

    def __init__(self) -> None:
        self._origin = ""
        self._head: Checkpoint | None = None
        self._note = ""
        self._keys: list[LogKey] = []
        self._key_leaves: dict[tuple[int, UUID], bytes] = {}
        self._leaves: tuple[int, list[bytes]] = (-1, [])
        self._missing_tile = -1
        self._next = 0
        self._edge: list[list[bytes]] = [[]]
        self._full: list[tuple[int, bytes]] = []
        self._tiles: Counter[int] = Counter()
        self._wrong: list[Row] = []

    def judge(self, rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        """What is wrong with the next rows of the audit's statement."""
        self._wrong = []
        for position, sort, slot, id_, hash_, other, level, number, text, at in rows:
            match sort:
                case LogSort.LOG:
                    self._origin, self._note = text, other
                    self._head = Checkpoint(text, number, hash_)
                case LogSort.KEY:
                    self._keys.append(key_of(self._origin, hash_))
                    facts = KeyLeafFacts(id_, self._origin, hash_, other, at)
                    self._key_leaves[slot, id_] = key_leaf_hash(facts)
                case LogSort.LEAVES:
                    self._tiles[0] += 1
                    self._end_tile()
                    self._leaves = number, split_hashes(hash_)
                case LogSort.ENTRIES:
                    self._take_entries(number, first=id_, last=position, records=hash_)
                case LogSort.TILE:
                    self._tiles[level] += 1
                    self._check_tile(level, number, hash_)
                case LogSort.CHECKPOINT:
                    self._check_checkpoint("checkpoint", Checkpoint(self._origin, number, hash_), text)
                case LogSort.LEFT_OUT:
                    self._found("entry of the leaf", "an index", None, slot=slot, transaction_id=id_)
                case _:
                    self._finish()
        return self._wrong

    def _found(self, what: str, expected: object, actual: object, **ids: object) -> None:
        self._wrong.append({**ids, "what": what, "expected": expected, "actual": actual})

    def _signed(self, index: int) -> bytes | None:
        """The leaf hash at an index, as its tile has it."""
        number, hashes = self._leaves
        place = index - number * WIDTH
        return hashes[place] if number >= 0 and 0 <= place < len(hashes) else None

    def _take_entry(self, index: int, slot: int, id_: UUID, leaf: bytes | None) -> None:
        ids = {"log_index": index, "slot": slot, "transaction_id": id_}
        if index != self._next:
            self._found("log_index", self._next, index, **ids)
            for between in range(self._next, min(index, self._next + _MAX_GAP)):
                self._push(0, self._signed(between) or bytes(HASH_BYTES))
        self._next = index + 1
        key_leaf = self._key_leaves.pop((slot, id_), None)
        if key_leaf is not None and key_leaf != leaf:
            self._found("leaf_hash of the key", key_leaf, leaf, **ids)
        signed = self._signed(index)
        if signed is None:
            if self._missing_tile != index // WIDTH:  # told of once
                self._missing_tile = index // WIDTH
                self._found("hash in the tile of level 0", leaf, None, **ids)
        elif signed != leaf:
            self._found("leaf" if leaf is None else "leaf_hash", signed, leaf, **ids)
        self._push(0, signed or leaf or bytes(HASH_BYTES))

    def _take_entries(self, tile: int, *, first: int, last: int, records: bytes) -> None:
        """The entries of a tile, or some of them: together where nothing is wrong, else one by one."""
        count = len(records) // RECORD_BYTES
        leaves = [records[end - HASH_BYTES : end] for end in range(RECORD_BYTES, len(records) + 1, RECORD_BYTES)]
        number, signed = self._leaves
        place = first - number * WIDTH
        if (
            number == tile
            and first == self._next
            and last - first + 1 == count
            and leaves == signed[place : place + count]
            and not any(id_.bytes in records for _, id_ in self._key_leaves)
        ):
            self._next += count
            if count == WIDTH:
                self._edge[0] = leaves[:-1]
                self._push(0, leaves[-1])
            else:
                for leaf in leaves:
                    self._push(0, leaf)
            return
        for n, leaf in enumerate(leaves):
            at = n * RECORD_BYTES
            self._take_entry(
                tile * WIDTH + int.from_bytes(records[at : at + 2], "big"),
                int.from_bytes(records[at + 2 : at + 4], "big", signed=True),
                UUID(bytes=records[at + 4 : at + 20]),
                None if leaf == NO_LEAF else leaf,
            )

    def _end_tile(self) -> None:
        """No tile has hashes for which there is no entry."""
        number, hashes = self._leaves
        if number >= 0 and number * WIDTH + len(hashes) > max(self._next, number * WIDTH):
            first = max(self._next, number * WIDTH)
            self._found("entry of the hash in the tile", hashes[first - number * WIDTH], None, log_index=first)

    def _check_tile(self, level: int, number: int, hashes: bytes) -> None:
        expected = b"".join(self._edge[level]) if level < len(self._edge) else b""
        if level < len(self._full) and self._full[level][0] == number:
            expected = self._full[level][1]
        if hashes != expected:
            first = number * WIDTH + _first_difference(hashes, expected)
            self._found(f"tile of level {level}", expected, hashes, log_index=min(first * WIDTH**level, self._next))

    def _push(self, level: int, hash_: bytes) -> None:
        """A node more at a level, and what becomes full by it above."""
        if level == len(self._edge):
            self._edge.append([])
        edge = self._edge[level]
        edge.append(hash_)
        if len(edge) == WIDTH:
            if level == len(self._full):
                self._full.append((-1, b""))
            self._full[level] = self._full[level][0] + 1, b"".join(edge)
            self._edge[level] = []
            self._push(level + 1, perfect_root(edge))

    def _check_checkpoint(self, what: str, kept: Checkpoint, note: str) -> None:
        """A checkpoint is signed by a key of the log, says what stands beside it, and has the root of the leaves."""
        ids = {"tree_size": kept.size}
        try:
            signed = open_checkpoint(note, self._keys)
        except NoteError as error:
            self._found(what, "signed by a key of the log", str(error), **ids)
            return
        if signed != kept:
            self._found(what, f"{signed.size} leaves, root {signed.root.hex()}", kept.root, **ids)
        size = sum(len(hashes) * WIDTH**level for level, hashes in enumerate(self._edge))
        edge = {level: b"".join(hashes) for level, hashes in enumerate(self._edge)}
        if size != signed.size:
            self._found(f"entries under the {what}", signed.size, size, **ids, log_index=min(size, signed.size))
        elif (root := root_of(size, lambda level, _: edge[level])) != signed.root:
            self._found(f"root of the {what}", signed.root, root, **ids)

    def _finish(self) -> None:
        self._end_tile()
        for (slot, id_), leaf in self._key_leaves.items():
            self._found("entry of the key", leaf, None, slot=slot, transaction_id=id_)
        for level in range(len(self._edge)):
            expected = -(-(self._next >> 8 * level) // WIDTH)
            if self._tiles[level] != expected:
                self._found(f"tiles of level {level}", expected, self._tiles[level])
        if self._head is None:
            if self._next or self._keys:
                self._found("log", "one", None)
        elif self._head.size != self._next:
            self._found("size of the log", self._head.size, self._next, log_index=min(self._head.size, self._next))
        elif self._head.size:
            self._check_checkpoint("head", self._head, self._note)


def _first_difference(left: bytes, right: bytes) -> int:
    """The first hash in which two tiles differ."""
    pairs = zip(split_hashes(left), split_hashes(right), strict=False)
    same = (place for place, (one, other) in enumerate(pairs) if one != other)
    return next(same, min(len(left), len(right)) // HASH_BYTES)


def begin_log() -> Judge:
    """A judge that remembers what it has seen of one run."""
    return _LogJudge().judge


AUDIT = Audit(
    name="log",
    proves_en="The transparency log holds every leaf that it should once, in an order without gaps; its tiles, its "
    "roots and its checkpoints are those of these leaves, and its own keys signed them.",
    proves_zh="透明日志按无间断的次序恰好收录每个应收录的存证叶；其瓦片、根哈希与检查点均由这些叶得出，并由日志自身的密钥签名。",
    reading_en="The first finding names the first entry that is wrong: expected is what was signed, actual what is "
    "there now. A leaf, an entry, a tile, a key or a checkpoint was altered, inserted, removed or moved.",
    reading_zh="第一条结果指出首个有误的条目：expected 为已签名的内容，actual 为现存内容；"
    "叶、条目、瓦片、密钥或检查点在事后被改动、插入、删除或移位。",
    counts="entries",
    count_sql="SELECT count(*) FROM evidence_entry",
    read=read_log,
    begin=begin_log,
)
