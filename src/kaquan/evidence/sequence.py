"""Give leaves their place in the log: an index without gaps, the tree over them, a signed checkpoint, in one commit.

Any number of sequencers may run; an advisory lock lets one at a time work, and the log's size, checked where it is
written, lets only one of two win if the lock should ever fail. No posting waits for it: it reads what they committed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from kaquan.evidence import store
from kaquan.evidence.errors import LogError
from kaquan.evidence.horizon import Snapshot
from kaquan.evidence.key_leaf import KeyLeafFacts, key_bytes
from kaquan.evidence.note import Algorithm, Checkpoint, LogKey, NoteError, Signer, is_key_name, sign_note
from kaquan.evidence.profiles import key_algorithm
from kaquan.evidence.publish import publish, read_published
from kaquan.evidence.read import prove_ranges, read_tiles_under
from kaquan.evidence.receipt import Inclusion, verify_receipt, write_receipt
from kaquan.evidence.sm_log import SmLog
from kaquan.evidence.store import Head, Horizon, Key, LostRaceError
from kaquan.evidence.tiles import edge_of, grow, root_of
from kaquan.evidence.tree import EMPTY_ROOT, HASH_BYTES, inclusion_ranges
from kaquan.evidence.witness_policy import open_checkpoint
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids

BATCH = 20_000
"""Leaves of a slot that share one commit; those of one transaction are never parted."""

PUBLISH_EVERY = timedelta(seconds=1)
"""How often a folder follows a log that grows without a pause: each time costs some files and their fsync."""

SM_EVERY = timedelta(seconds=1)
"""How often the SM profile follows: signing with SM2 takes tens of milliseconds."""

_FIRST = UUID(int=0)


class Taken(NamedTuple):
    """What one step did: how many leaves have their index now, and whether more wait."""

    leaves: int
    more: bool


class Sequencer:
    """Keeps the log of an installation. ``directory`` is where the log is published besides, if anywhere.

    ``origin`` names a new log; a log that is there keeps its name, and one given that is another is an error.
    """

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        ids: Ids,
        slots: Sequence[int],
        *,
        origin: str | None = None,
        directory: Path | None = None,
    ) -> None:
        self._pool, self._clock, self._ids, self._slots = pool, clock, ids, slots
        self._origin, self._directory = origin, directory
        self._agrees: str | None = None
        self._published_at: datetime | None = None
        self._sm_log = SmLog()
        self._sm_at: datetime | None = None
        self._announced: frozenset[bytes] = frozenset()

    async def step(self, signers: Sequence[Signer], sm_signers: Sequence[Signer] = ()) -> Taken:
        """Take the leaves that are committed and have no index yet; sign and publish the log with them.

        With ``sm_signers`` the SM profile follows.

        Where another sequencer is at work nothing is done. Raises LogError when the log is not to be continued.
        """
        try:
            async with self._pool.connection() as connection, store.one_writer(connection) as is_writer:
                if not is_writer:
                    return Taken(0, more=False)
                taken = await self._take(connection, signers, sm_signers)
                await self._announce(connection, taken.head, signers, sm_signers)
                more = taken.more | await self._extend_sm(connection, taken, sm_signers)
        except LostRaceError:
            return Taken(0, more=False)
        if self._directory is not None and (not taken.leaves or self._is_time()):
            await publish(self._pool, self._directory, self._keys(signers, taken.head.origin))
            self._published_at = self._clock.now()
        return Taken(taken.leaves, more)

    async def _extend_sm(self, connection: Connection, taken: "_Step", signers: Sequence[Signer]) -> bool:
        """Let the SM profile follow, once in a while and when the log rests; whether it has far to go."""
        now = self._clock.now()
        is_time = self._sm_at is None or now - self._sm_at >= SM_EVERY or not taken.leaves
        if not signers or not is_time:
            return False
        self._sm_at = now
        return await self._sm_log.extend(connection, taken.head, signers, now)

    async def _announce(
        self, connection: Connection, head: Head, signers: Sequence[Signer], sm_signers: Sequence[Signer]
    ) -> None:
        """Keep the receipt of each new key's entry in a checkpoint that the key before it signs too."""
        publics = [signer.public for signer in signers]
        ring = frozenset([*publics, *(signer.public for signer in sm_signers)])
        if ring == self._announced or not head.size:
            return
        keys, known = await store.read_keys(connection), await store.read_key_receipts(connection)
        is_done = True
        for key in keys[1:]:
            is_sm = key_algorithm(key.public_key) is Algorithm.SM2
            if key.id in known or key.public_key not in ring or not (is_sm or key.replaces in publics):
                continue  # it is announced, or nobody is here who could announce it
            leaf = await store.read_leaf(connection, slot=key.slot, id_=key.id)
            if leaf is None or leaf.log_index is None:
                is_done = False
                continue
            proof = await prove_ranges(connection, inclusion_ranges(leaf.log_index, head.size))
            facts = KeyLeafFacts(key.id, head.origin, key.public_key, key.replaces, key.added_at)
            receipt = write_receipt(key_bytes(facts), None, Inclusion(leaf.log_index, tuple(proof), head.note))
            try:
                by = [public for public in publics if is_sm or public == key.replaces]
                verify_receipt(receipt, [LogKey(head.origin, public) for public in by])
            except NoteError:
                is_done = False  # the next checkpoint has the signature
            else:
                await store.add_key_receipt(connection, key_id=key.id, receipt=receipt)
        self._announced = ring if is_done and ring <= {key.public_key for key in keys} else frozenset()

    def _is_time(self) -> bool:
        """Whether the folder has waited long enough."""
        return self._published_at is None or self._clock.now() - self._published_at >= PUBLISH_EVERY

    async def _take(self, connection: Connection, signers: Sequence[Signer], sm_signers: Sequence[Signer]) -> "_Step":
        head = await store.read_log(connection)
        if head is None:
            return _Step(await self._begin(connection, signers), 0, more=True)
        if self._origin not in (None, head.origin):
            raise LogError(f"the log is called {head.origin}, and the setting names {self._origin}")
        edge = await self._check(connection, head, signers)  # before a ring that is not ours could add its keys
        if await self._add_keys(connection, head.origin, [*signers, *sm_signers]):
            return _Step(head, 0, more=True)  # their leaves are seen by the next snapshot

        snapshot, server = await store.read_moment(connection)
        horizons = await store.read_horizons(connection)
        found: list[tuple[int, UUID]] = []
        hashes: list[bytes] = []
        more = False
        for slot in self._slots:
            before = horizons.get(slot)
            after, leaves, goes_on = await _read_slot(
                connection, slot, None if before is None or before.server != server else before, snapshot, server
            )
            more |= goes_on
            found += [(slot, id_) for id_, _ in leaves]
            hashes += [leaf for _, leaf in leaves]
            if leaves or before is None or after.walked_to != before.walked_to or before.server != server:
                await store.write_horizon(connection, after)
        if not found:
            return _Step(head, 0, more)
        grown = grow(head.size, edge, hashes)
        note = sign_note(Checkpoint(head.origin, grown.size, grown.root).text, head.origin, signers)
        at = self._clock.now()
        await store.append(connection, grown, found, note=note, at=at)
        return _Step(Head(head.origin, grown.size, grown.root, note, at), len(found), more)

    async def _begin(self, connection: Connection, signers: Sequence[Signer]) -> Head:
        origin = self._origin or f"kaquan.invalid/{self._ids.new().hex[-12:]}"
        if not is_key_name(origin):
            raise LogError(f"a log cannot be called {origin!r}: no spaces and no plus sign")
        at = self._clock.now()
        await store.begin_log(connection, origin=origin, root=EMPTY_ROOT, at=at)
        await self._add_keys(connection, origin, signers)
        return Head(origin, 0, EMPTY_ROOT, "", at)

    async def _add_keys(self, connection: Connection, origin: str, signers: Sequence[Signer]) -> bool:
        """Record the keys that sign and are not known yet; whether there were any."""
        keys = await store.read_keys(connection)
        known = {key.public_key for key in keys}
        last = {len(key.public_key): key.public_key for key in keys}  # of Ed25519 and of SM2
        new = [signer.public for signer in signers if signer.public not in known]
        for public in new:
            key = Key(self._ids.new(), self._slots[0], public, last.get(len(public)), self._clock.now())
            await store.add_key(connection, key, origin=origin)
            last[len(public)] = public
        return bool(new)

    async def _check(self, connection: Connection, head: Head, signers: Sequence[Signer]) -> dict[int, bytes]:
        """The growing tiles of a log that may be continued: it is what we signed, and what was published."""
        keys = self._keys(signers, head.origin)
        if head.size:
            try:
                signed = open_checkpoint(head.note, keys)
            except NoteError as error:
                raise LogError(f"the head of the log is not signed by a key of this ring: {error}") from None
            if signed != (head.origin, head.size, head.root):
                raise LogError(f"the head of the log says {head.size} leaves, and its checkpoint {signed.size}")
        growing = edge_of(head.size)
        tiles = await store.read_tiles(connection, [(tile.level, tile.number) for tile in growing])
        edge = {tile.level: tiles.get((tile.level, tile.number), b"") for tile in growing}
        if any(len(edge[tile.level]) != tile.width * HASH_BYTES for tile in growing):
            raise LogError("a tile at the end of the log is not as long as the log")
        if root_of(head.size, lambda level, _: edge[level]) != head.root:
            raise LogError("the tree is not the one whose root was signed")
        await self._check_published(connection, head, keys)
        return edge

    async def _check_published(self, connection: Connection, head: Head, keys: Sequence[LogKey]) -> None:
        """The log that was published begins the one that is here: no two that differ are ever signed."""
        note = None if self._directory is None else await read_published(self._directory)
        if note is None or note in (self._agrees, head.note):
            return
        try:
            published = open_checkpoint(note, keys)
        except NoteError as error:
            raise LogError(f"the published checkpoint is not signed by a key of this ring: {error}") from None
        if published.size > head.size:
            raise LogError(
                f"the log was rewound: it has {head.size} leaves, and a checkpoint of {published.size} was published"
            )
        tiles = await read_tiles_under(connection, [(0, published.size)])
        if published.root != root_of(published.size, lambda level, number: tiles[level, number]):
            raise LogError(f"the first {published.size} leaves are not those that were published")
        self._agrees = note

    def _keys(self, signers: Sequence[Signer], origin: str) -> list[LogKey]:
        return [LogKey(origin, signer.public) for signer in signers]


class _Step(NamedTuple):
    head: Head
    leaves: int
    more: bool


async def _read_slot(
    connection: Connection, slot: int, before: Horizon | None, snapshot: str, server: str
) -> tuple[Horizon, list[tuple[UUID, bytes]], bool]:
    """The leaves of a slot that come next, how far it is taken with them, and whether more wait.

    Without a horizon, at the beginning or on another server, it is the snapshot, and the leaves that it sees are gone
    through by id.
    """
    if before is None:
        before = Horizon(slot, server, snapshot, _FIRST)
    now = Snapshot.read(snapshot)
    bound = await store.find_bound(connection, slot=slot, horizon=before.horizon, now=snapshot, limit=BATCH)
    if bound is not None:
        now = now.until(bound)
    leaves = await store.read_new(connection, slot=slot, horizon=before.horizon, now=now.text)
    walked_to = before.walked_to
    if walked_to is not None:
        taken = {id_ for id_, _ in leaves}
        looked_at = await store.walk(connection, slot=slot, after=walked_to, limit=BATCH)
        leaves += [(id_, leaf) for id_, leaf, is_in in looked_at if not is_in and id_ not in taken]
        walked_to = looked_at[-1][0] if len(looked_at) == BATCH else None
    return Horizon(slot, server, now.text, walked_to), leaves, bound is not None or walked_to is not None
