"""The SM profile of the log, built again from the leaf hashes of the log: tiles, root, signature."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from kaquan.audit.types import Audit, Judge, Row
from kaquan.evidence import SM_SUFFIX, Algorithm, Checkpoint, LogKey, NoteError, open_checkpoint
from kaquan.evidence.sm import hash_sm_children, hash_sm_leaf
from kaquan.evidence.tiles import WIDTH, root_of, split_hashes
from kaquan.evidence.tree import perfect_root


class _Sort(IntEnum):
    """What a row is about, in this order."""

    LOG = 0
    HEAD = 1
    KEY = 2
    LEAVES = 3
    TILE = 4
    END = 5


class _SmJudge:
    """Goes through the leaves of the log in their order, as far as the SM profile says it is."""

    def __init__(self) -> None:
        self._origin = ""
        self._head: Checkpoint | None = None
        self._note = ""
        self._keys: list[bytes] = []
        self._size = 0
        self._rows: list[list[bytes]] = []
        self._above: dict[tuple[int, int], bytes] | None = None
        self._wrong: list[Row] = []

    def judge(self, rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        """What is wrong with the next rows of the audit's statement."""
        self._wrong = []
        for sort, level, number, hashes, other, text in rows:
            match sort:
                case _Sort.LOG:
                    self._origin = text + SM_SUFFIX
                case _Sort.HEAD:
                    self._head, self._note = Checkpoint(text, number, hashes), other.decode()
                case _Sort.KEY:
                    self._keys.append(hashes)
                case _Sort.LEAVES:
                    self._take(number, hashes, other)
                case _Sort.TILE:
                    self._compare(level, number, self._tiles_above().pop((level, number), None), hashes)
                case _:
                    self._finish()
        return self._wrong

    def _found(self, what: str, expected: object, actual: object, **ids: object) -> None:
        self._wrong.append({**ids, "what": what, "expected": expected, "actual": actual})

    def _compare(self, level: int, number: int, expected: bytes | None, actual: bytes | None) -> None:
        if expected != actual:
            self._found(f"tile of level {level}", expected, actual, log_index=number * WIDTH ** (level + 1))

    def _take(self, number: int, leaves: bytes, actual: bytes | None) -> None:
        """A tile of the log's leaves, cut where the SM profile ends, and the tile that it has for it."""
        assert self._head is not None
        hashes = [hash_sm_leaf(leaf) for leaf in split_hashes(leaves)][: self._head.size - number * WIDTH]
        self._compare(0, number, b"".join(hashes), actual)
        self._size += len(hashes)
        self._rows = self._rows or [[], []]
        if len(hashes) == WIDTH:
            self._rows[1].append(perfect_root(hashes, hash_sm_children))
        else:
            self._rows[0] = hashes

    def _tiles_above(self) -> dict[tuple[int, int], bytes]:
        """The tiles above those of leaves, once all leaves are taken; those that were compared are gone from it."""
        if self._above is None:
            self._above = {}
            level = 1
            while level < len(self._rows):
                row = self._rows[level]
                tiles = [row[start : start + WIDTH] for start in range(0, len(row), WIDTH)]
                self._above |= {(level, number): b"".join(tile) for number, tile in enumerate(tiles)}
                full = [perfect_root(tile, hash_sm_children) for tile in tiles if len(tile) == WIDTH]
                if full:
                    self._rows.append(full)
                level += 1
        return self._above

    def _finish(self) -> None:
        for (level, number), hashes in self._tiles_above().items():
            self._compare(level, number, hashes, None)
        if self._head is None:
            return
        ids = {"tree_size": self._head.size}
        keys = [LogKey(self._origin, public, Algorithm.SM2) for public in self._keys]
        try:
            signed = open_checkpoint(self._note, keys)
        except NoteError as error:
            self._found("SM checkpoint", "signed by an SM2 key of the log", str(error), **ids)
        else:
            if signed != self._head:
                self._found("SM checkpoint", f"{signed.size} leaves", self._head.root, **ids)
        if self._size != self._head.size:
            self._found("leaves under the SM checkpoint", self._head.size, self._size, **ids)
            return
        edge = {level: b"".join(row[len(row) // WIDTH * WIDTH :]) for level, row in enumerate(self._rows)}
        root = root_of(self._size, lambda level, _: edge[level], hash_sm_children) if self._size else b""
        if root != self._head.root:
            self._found("root of the SM profile", root, self._head.root, **ids)


def begin_sm() -> Judge:
    """A judge that remembers what it has seen of one run."""
    return _SmJudge().judge


AUDIT = Audit(
    name="log_sm",
    proves_en="The SM profile has the leaves of the log in its order, hashed with SM3, and an SM2 key of the log "
    "signed it.",
    proves_zh="国密副本以相同次序收录日志的每个叶，以 SM3 计算，并由日志的 SM2 密钥签名。",
    reading_en="expected is what the leaves of the log give, actual what is stored: a tile or the checkpoint of the SM "
    "profile was altered, or is missing.",
    reading_zh="expected 为由日志的叶重算的结果，actual 为现存内容：国密副本的瓦片或检查点被改动或缺失。",
    counts="entries",
    count_sql="SELECT coalesce(max(size), 0) FROM evidence_sm_log",
    sql="""
SELECT 0 AS sort, NULL::smallint AS level, NULL::bigint AS number, NULL::bytea AS hashes, NULL::bytea AS other,
       origin AS text
FROM evidence_log
UNION ALL
SELECT 1, NULL, size, root, convert_to(note, 'UTF8'), origin FROM evidence_sm_log
UNION ALL
SELECT 2, NULL, NULL, public_key, NULL, NULL FROM evidence_key WHERE octet_length(public_key) = 65
UNION ALL
SELECT 3, 0, t.number, t.hashes, s.hashes, NULL
FROM evidence_sm_log AS h
JOIN evidence_tile AS t ON t.level = 0 AND t.number * 256 < h.size
LEFT JOIN evidence_sm_tile AS s ON s.level = 0 AND s.number = t.number
UNION ALL
SELECT 4, s.level, s.number, s.hashes, NULL, NULL
FROM evidence_sm_tile AS s
WHERE s.level > 0 OR NOT EXISTS (SELECT FROM evidence_sm_log AS h WHERE s.number * 256 < h.size)
UNION ALL
SELECT 5, NULL, NULL, NULL, NULL, NULL
ORDER BY sort, level, number
""",
    begin=begin_sm,
)
