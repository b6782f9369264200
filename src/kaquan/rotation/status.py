"""Tell which keys are in use where."""

import msgspec

from kaquan.cards import count_lookups
from kaquan.kit.db import Pool
from kaquan.rotation import store
from kaquan.vault import Keyring, key_id_of, sealed_columns


class ColumnStatus(msgspec.Struct, frozen=True):
    """How many values of a column are sealed under which key; ``stale_count`` are not as they would be sealed now."""

    column: str
    by_key: dict[str, int]
    stale_count: int


class Status(msgspec.Struct, frozen=True):
    """The keys of the ring by id, and what uses them. ``lookups``: entries of card numbers by look-up key."""

    current_seal: str
    seal_keys: list[str]
    current_lookup: str
    lookup_keys: list[str]
    card_count: int
    lookups: dict[str, int]
    columns: list[ColumnStatus]

    @property
    def is_done(self) -> bool:
        """Whether everything is under the current keys."""
        return len(self.lookup_keys) == 1 and not any(column.stale_count for column in self.columns)


async def load_status(pool: Pool, keyring: Keyring, *, slots: tuple[int, ...]) -> Status:
    """Which keys seal what, counted now; it reads every sealed table once."""
    card_count, lookups = await count_lookups(pool, slots=slots)
    columns = []
    for column in sealed_columns():
        by_header = await store.count_by_header(pool, column)
        by_key: dict[str, int] = {}
        for header, count in by_header.items():
            by_key[key_id_of(header)] = by_key.get(key_id_of(header), 0) + count
        stale_count = sum(count for header, count in by_header.items() if header != keyring.current_header)
        columns.append(ColumnStatus(column.name, by_key, stale_count))
    return Status(
        current_seal=keyring.current_seal_id,
        seal_keys=list(keyring.seal_ids),
        current_lookup=keyring.lookup_ids[-1],
        lookup_keys=list(keyring.lookup_ids),
        card_count=card_count,
        lookups=lookups,
        columns=columns,
    )


async def seal_ids_in_use(pool: Pool) -> set[str]:
    """The ids of the keys that something is sealed under."""
    return {key_id_of(header) for column in sealed_columns() for header in await store.count_by_header(pool, column)}
