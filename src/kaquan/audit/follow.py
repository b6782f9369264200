"""Audit the log as it grows: each time what is new since the last time, and a share of what is old.

How far it came is written down under the signature of the log's keys: an *anchor*. Who can only write rows can make it
neither skip what it has not seen nor forget what it has. What it does of each part:

- what is new, from the anchor to the head or to a kept checkpoint before it: every leaf is recomputed from its
  transaction, compared with its tile, and laid into the tree; the tree has the root of each checkpoint on the way,
  and the keys of the ring signed it; no transaction and no leaf made since then is left out;
- what is old: the first leaves still have the root of the anchor, by their tiles. RECHECKED of them are recomputed
  each time, with their tiles and those above, and the next ones the next time, so all are in so many turns.

Balances are not in leaves: they are the business of the audits ``counters``, ``running_balance`` and others.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from kaquan.audit import store
from kaquan.audit.invariants.issues import CARD_DIFFERS, VOUCHER_DIFFERS
from kaquan.audit.invariants.leaves import ENTRY_RECORDS, judge_leaves
from kaquan.audit.run import FINDINGS_SHOWN, show_finding
from kaquan.audit.stated import SORTS
from kaquan.audit.types import Finding, Row
from kaquan.evidence import (
    Checkpoint,
    LogKey,
    NoteError,
    Signer,
    encode,
    open_checkpoint,
    open_note,
    read_head,
    read_nodes,
    sign_note,
    split_range,
)
from kaquan.evidence.note import decode
from kaquan.evidence.tiles import WIDTH, split_hashes
from kaquan.evidence.tree import HASH_BYTES, hash_children, perfect_root
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import MARGIN, first_id

FORMAT = "kaquan-audit/1"

NEW = 2_000_000
"""New entries that one turn goes through at the most, or a minute of the log if that has more."""

RECHECKED = 200_000
"""Old entries that one turn goes through again."""

_AT_ONCE = 16 * WIDTH

_OF_ISSUES = "AND i.slot = ANY (%(slots)s::smallint[]) AND i.id = ANY (%(ids)s::uuid[])"


class Followed(msgspec.Struct, frozen=True):
    """One turn: entries from ``old_size`` to ``size`` are new and were gone through, of a log of ``head_size``;
    and again those from ``rechecked_from`` to ``rechecked_to``. The anchor moves only where all holds."""

    as_of: datetime
    holds: bool
    old_size: int
    size: int
    head_size: int
    rechecked_from: int
    rechecked_to: int
    duration_ms: int
    finding_count: int
    findings: tuple[Finding, ...]


class _Anchor(NamedTuple):
    """Up to which size the log was audited, with which root, and where the next old entries are to be gone through."""

    size: int
    root: bytes
    recheck: int
    at: datetime


class _Tree:
    """A growing tree, as the roots of the perfect trees that it is made of, the largest first."""

    def __init__(self, size: int, roots: Sequence[bytes]) -> None:
        self.size, self._roots = size, list(roots)

    def lay(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = hash_children(self._roots.pop(), leaf)
            size >>= 1
        self._roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        found = self._roots[-1]
        for left in self._roots[-2::-1]:
            found = hash_children(left, found)
        return found


async def follow_log(
    pool: Pool,
    clock: Clock,
    signers: Sequence[Signer],
    slots: Sequence[int],
    *,
    new: int = NEW,
    recheck: int = RECHECKED,
) -> Followed:
    """Audit what the log took since the last turn, and the next share of the rest; move the anchor if all holds."""
    started = time.perf_counter()
    async with store.open_snapshot(pool) as ((connection,), as_of), store.by_index(connection):
        turn = _Turn(connection, signers)
        anchor = await turn.begin()
        reached = await turn.go_on(anchor, limit=new) if anchor is not None else None
        rechecked = anchor.recheck if anchor is not None else 0
        upto = rechecked
        if anchor is not None and reached is not None:
            if rechecked >= anchor.size:
                rechecked = 0
            upto = min(rechecked + recheck // WIDTH * WIDTH, anchor.size)
            await turn.walk(rechecked, upto, None)
            await turn.find_left_out(slots, anchor.at)
    found = turn.found
    head_size = turn.head.size if turn.head is not None else 0
    if anchor is not None and reached is not None and not found:
        lines = FORMAT, turn.origin, str(reached.size), encode(reached.root), str(upto), as_of.isoformat(), ""
        note = sign_note("\n".join(lines), turn.origin, signers)
        await store.write_anchor(pool, size=reached.size, note=note, at=clock.now())
    return Followed(
        as_of=as_of,
        holds=not found,
        old_size=0 if anchor is None else anchor.size,
        size=reached.size if reached is not None else 0,
        head_size=head_size,
        rechecked_from=rechecked,
        rechecked_to=upto,
        duration_ms=round((time.perf_counter() - started) * 1000),
        finding_count=len(found),
        findings=tuple(show_finding(row) for row in found[:FINDINGS_SHOWN]),
    )


class _Turn:
    """What one turn looks at, and what it found."""

    def __init__(self, connection: Connection, signers: Sequence[Signer]) -> None:
        self._connection, self._signers = connection, signers
        self._keys: list[LogKey] = []
        self.found: list[Row] = []
        self.head: Checkpoint | None = None
        self.origin = ""
        self._note = ""

    def _tell(self, what: str, expected: object, actual: object, **ids: object) -> None:
        self.found.append({**ids, "what": what, "expected": expected, "actual": actual})

    async def begin(self) -> _Anchor | None:
        """The head and the anchor, if the ring signed them and they fit; None where there is no going on."""
        head = await read_head(self._connection)
        kept = await store.read_named(self._connection, "read_anchor")
        if head is None or not head.note:
            if kept:
                self._tell("log", f"{kept[0][0]} entries", None)
            return None
        self.origin = head.origin
        self._keys = [LogKey(head.origin, signer.public) for signer in self._signers]
        self.head, self._note = Checkpoint(head.origin, head.size, head.root), head.note
        self._check_note("head", self.head, head.note)
        anchor = _Anchor(0, b"", 0, datetime.fromisoformat("1970-01-01T00:00:00+00:00"))
        if kept:
            try:
                anchor = self._read_anchor(kept[0][1])
            except NoteError as error:
                self._tell("anchor of the audit", "signed by a key of the log", str(error))
                return None
            if anchor.size != kept[0][0]:
                self._tell("size of the anchor", anchor.size, kept[0][0])
        if head.size < anchor.size:
            self._tell("size of the log", anchor.size, head.size, log_index=head.size)
            return None
        return anchor

    def _read_anchor(self, note: str) -> _Anchor:
        text, _ = open_note(note, self._keys)
        lines = text.split("\n")
        if len(lines) != 7 or lines[:2] != [FORMAT, self.origin]:
            raise NoteError("not an anchor of this log")
        return _Anchor(int(lines[2]), decode(lines[3]), int(lines[4]), datetime.fromisoformat(lines[5]))

    def _check_note(self, what: str, kept: Checkpoint, note: str) -> None:
        try:
            signed = open_checkpoint(note, self._keys)
        except NoteError as error:
            # keys that were retired signed older ones: the whole audit knows them by the log
            if what == "head":
                self._tell(what, "signed by a key of the log", str(error), tree_size=kept.size)
            return
        if signed != kept:
            self._tell(what, f"{signed.size} leaves, root {signed.root.hex()}", kept.root, tree_size=kept.size)

    async def go_on(self, anchor: _Anchor, *, limit: int) -> Checkpoint | None:
        """Go through what is new; the tree that was reached, None where the old part is not what was audited."""
        assert self.head is not None
        try:
            roots = await read_nodes(self._connection, split_range(0, anchor.size))
        except (KeyError, AssertionError):
            roots = []
        tree = _Tree(anchor.size, roots)
        if anchor.size and (not roots or tree.root() != anchor.root):
            actual = tree.root() if roots else None
            self._tell("root of the audited entries", anchor.root, actual, log_index=anchor.size - 1)
            return None
        end = self.head.size
        if end - anchor.size > limit:
            ((last,),) = await store.read_named(
                self._connection, "last_checkpoint", begin=anchor.size, end=anchor.size + limit
            )
            end = end if last is None else last
        kept = await store.read_named(self._connection, "checkpoints_between", begin=anchor.size, end=end)
        marks = [(Checkpoint(self.origin, size, root), note) for size, root, note in kept]
        if end == self.head.size and (not marks or marks[-1][0].size != end):
            marks.append((self.head, self._note))
        begin = anchor.size
        for checkpoint, note in marks:
            await self.walk(begin, checkpoint.size, tree)
            begin = checkpoint.size
            self._check_note("checkpoint", checkpoint, note)
            if tree.root() != checkpoint.root:
                self._tell("root of the checkpoint", checkpoint.root, tree.root(), tree_size=checkpoint.size)
                break
        return Checkpoint(self.origin, tree.size, tree.root()) if tree.size else None

    async def walk(self, begin: int, end: int, tree: _Tree | None) -> None:
        """Go through entries, and the tiles over them; lay them into ``tree`` if there is one."""
        for start in range(begin, end, _AT_ONCE):
            until = min(start + _AT_ONCE, end)
            rows = await store.read_rows(self._connection, ENTRY_RECORDS, begin=start, end=until)
            numbers = range(start // WIDTH, -(-until // WIDTH))
            tiles = await self._read_tiles(0, numbers)
            above = await self._read_tiles(1, range(numbers[0] // WIDTH, numbers[-1] // WIDTH + 1))
            await asyncio.to_thread(self._judge, start, until, rows, tiles, tree)
            await self._judge_others(
                {(row[1], row[2]): row[0] for row in rows if row[3] is not None and row[6] is None}
            )
            await self._check_above(tiles, above)

    async def _read_tiles(self, level: int, numbers: Sequence[int]) -> dict[int, bytes]:
        rows = await store.read_named(self._connection, "tiles", levels=[level] * len(numbers), numbers=list(numbers))
        return {number: hashes for _, number, hashes in rows}

    def _judge(
        self, start: int, end: int, rows: Sequence[tuple[Any, ...]], tiles: dict[int, bytes], tree: _Tree | None
    ) -> None:
        signed = {number: split_hashes(hashes) for number, hashes in tiles.items()}
        by_index = {row[0]: row for row in rows}
        for index in range(start, end):
            number, place = divmod(index, WIDTH)
            hashes = signed.get(number, [])
            hash_ = hashes[place] if place < len(hashes) else None
            row = by_index.get(index)
            if row is None:
                self._tell("entry", "one at this index", None, log_index=index)
                leaf = None
            else:
                leaf = row[3]
                ids = {"log_index": index, "slot": row[1], "transaction_id": row[2]}
                if leaf is None or leaf != hash_:
                    self._tell("leaf" if leaf is None else "leaf_hash", hash_, leaf, **ids)
                elif row[6] is not None:
                    self.found += [{**ids, **wrong} for wrong in judge_leaves([row[1:11]])]
            if tree is not None:
                tree.lay(hash_ or leaf or bytes(HASH_BYTES))

    async def _judge_others(self, wanted: dict[tuple[int, UUID], int]) -> None:
        """Entries that are of no transaction, by slot and id: each is of something else, and as that has it."""
        if not wanted:
            return
        places = {"slots": [slot for slot, _ in wanted], "ids": [id_ for _, id_ in wanted]}
        known: set[tuple[int, UUID]] = set()

        def tell(slot: int, id_: UUID, wrong: Row) -> None:
            self.found.append({"log_index": wanted[slot, id_], "slot": slot, "transaction_id": id_, **wrong})

        for statement, judge in SORTS:
            for row in await store.read_rows(self._connection, statement, **places):
                slot, id_ = row[:2]
                known.add((slot, id_))
                for wrong in judge([row]):
                    tell(slot, id_, wrong)
        for statement in (CARD_DIFFERS, VOUCHER_DIFFERS):
            for wrong in await store.read_dicts(self._connection, statement + _OF_ISSUES, **places):
                tell(wrong["slot"], wrong["issue_id"], wrong)
        known.update(await store.read_named(self._connection, "rules_and_keys", **places))
        for slot, id_ in wanted:
            if (slot, id_) not in known:
                tell(slot, id_, {"what": "transaction of the leaf", "expected": "one of its id", "actual": None})

    async def _check_above(self, tiles: dict[int, bytes], above: dict[int, bytes], level: int = 1) -> None:
        """The tiles over these, up to the highest, have their roots."""
        full: dict[int, bytes] = {}
        for number, hashes in sorted(tiles.items()):
            if len(hashes) < WIDTH * HASH_BYTES:
                continue
            root = perfect_root(split_hashes(hashes))
            over = above.get(number // WIDTH, b"")
            place = number % WIDTH * HASH_BYTES
            if over[place : place + HASH_BYTES] != root:
                first = number * WIDTH**level
                self._tell(f"tile of level {level}", root, over[place : place + HASH_BYTES] or None, log_index=first)
            if len(over) == WIDTH * HASH_BYTES:
                full[number // WIDTH] = over
        if full:
            numbers = sorted({number // WIDTH for number in full})
            await self._check_above(full, await self._read_tiles(level + 1, numbers), level + 1)

    async def find_left_out(self, slots: Sequence[int], since: datetime) -> None:
        """Transactions and events without a leaf, cards and vouchers of no issue, leaves without an entry, that were
        made since the last turn."""
        from_id: UUID = first_id(since, margin=-MARGIN)
        for slot in slots:
            params = {"slot": slot, "from_id": from_id, "limit": FINDINGS_SHOWN}
            for query in ("without_leaf", "card_events_without_leaf", "voucher_events_without_leaf"):
                for slot_, id_ in await store.read_named(self._connection, query, **params):
                    self._tell("leaf", "one of its id", None, slot=slot_, transaction_id=id_)
            # an issue is called by its first card, and the ids of its cards are made within the margin
            issued = {**params, "from_issue": first_id(since, margin=-2 * MARGIN)}
            for query, called in (("cards_of_no_issue", "card_id"), ("vouchers_of_no_issue", "voucher_id")):
                for (id_,) in await store.read_named(self._connection, query, **issued):
                    self._tell("issue", "one that it is in", None, slot=slot, **{called: id_})
            for slot_, id_ in await store.read_named(self._connection, "without_entry", **params):
                self._tell("entry of the leaf", "an index", None, slot=slot_, transaction_id=id_)
