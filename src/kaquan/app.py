"""The composition root: the only place where the rooms are put together and configuration meets them."""

import asyncio
from uuid import UUID

import structlog

from kaquan.cards import SYSTEM, CardFinder, Hand, Programmes, check_chosen_pin
from kaquan.closing import RulesOf, refund_rules
from kaquan.evidence import NoteError, Sequencer, WitnessPolicy, read_policy
from kaquan.guesses import Guard
from kaquan.kit.clock import Clock, ShiftedClock, SystemClock
from kaquan.kit.db import Pool, check_durability, describe_failure, is_outage, open_pool, read_schema
from kaquan.kit.ids import Ids, SystemIds
from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.ledger import read_slots
from kaquan.migrations import judge_schema
from kaquan.parties import Directory, Place, customers
from kaquan.parties.identity import IdentityProvider, default_rules, find_providers
from kaquan.payments import LANES, Desk, Known, LimitBook, PointsBook
from kaquan.policy import Policy
from kaquan.promotions import CampaignBook, ShadowBook
from kaquan.settings import Settings, SettingsError
from kaquan.vault import Keyring, KeyringError

REFRESH_EVERY_S = 1.0
"""How old a copy of reference data in memory may become; a payment refreshes it earlier when it learns of a change."""

_log = structlog.get_logger("kaquan.app")


class App:
    """Everything that a server process holds. Made by :meth:`open`, ended by :meth:`close`."""

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        keyring: Keyring,
        slots: tuple[int, ...],
        *,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self.settings = settings
        self.pool = pool
        self.keyring = keyring
        self.slots = slots
        self.clock = clock
        self.ids = ids
        self.directory = Directory(pool)
        self.identity = _identity_provider(settings.identity_provider)
        self.attempt_rules = default_rules()
        self.policy = Policy(pool)
        self.programmes = Programmes(pool, rules=self.policy.rules)
        self.limits = LimitBook(pool)
        self.campaigns = CampaignBook(pool)
        self.shadows = ShadowBook(pool)
        self.points = PointsBook(pool)
        self.finder = CardFinder(pool, keyring, slots)
        self.refund_rules: RulesOf = refund_rules(pool, self.policy)
        self.desk = Desk(
            pool,
            slots=slots,
            clock=clock,
            ids=ids,
            known=Known(
                self.programmes.get,
                self._place,
                self.points.get,
                self.campaigns.get,
                self.limits.get,
                self.limits.get_place_rules,
                self.limits.tracks_places,
                self._version,
                self.refresh,
                self.shadows.get,
            ),
            max_batch=settings.max_batch,
            max_queue=settings.max_queue,
        )
        self.guesses = Guard(pool, clock, limit=settings.max_wrong_numbers, window_s=settings.wrong_numbers_window_s)
        self.sequencer = Sequencer(
            pool, clock, ids, slots, origin=settings.log_origin, directory=settings.log_directory
        )
        self.witnesses = read_witnesses(settings)
        self._refreshing: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        settings: Settings,
        conninfo: str,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> "App":
        """Connect and begin to serve.

        Raises UnsafeServerError on a server that could lose commits, SchemaError on a schema that this release cannot
        serve on, KeyringError without a key ring, and the driver's errors if the database does not answer.
        """
        keyring = Keyring.load(settings.keyring_path, settings.keyring_passphrase)
        pool = open_pool(conninfo, min_size=2, max_size=settings.pool_size)
        try:
            await pool.open(wait=True, timeout=10)
            judge_schema(await read_schema(pool))
            async with pool.connection() as connection:
                await check_durability(connection)
                slots = await read_slots(connection)
            # the desk keeps its sessions
            await pool.resize(2, settings.pool_size + LANES * len(slots))
            if clock is None and settings.clock_offset is not None:
                clock = ShiftedClock(settings.clock_offset)
                ids = ids or SystemIds(clock)
            app = cls(settings, pool, keyring, slots, clock=clock or SystemClock(), ids=ids or SystemIds())
            await app.refresh()
        except BaseException:
            # a pool's own tasks do not end by being cancelled while they connect: the process would never end
            await pool.close()
            raise
        app.desk.start()
        app._refreshing = asyncio.create_task(app._refresh_for_ever(), name="refresh")
        return app

    async def close(self) -> None:
        """Answer what was accepted, then let go of the database."""
        if self._refreshing is not None:
            self._refreshing.cancel()
        try:
            await self.desk.close()
        finally:
            await self.pool.close()

    async def check_customer(self, book_id: int, customer_id: UUID) -> Refusal | None:
        """Whether a card may be bound to this customer. Refused: ``not_found``, also for one who is forgotten."""
        found = await customers.get_customer(self.pool, self.keyring, book_id=book_id, id_=customer_id)
        if isinstance(found, Refusal) or found.forgotten_at is not None:
            return NOT_FOUND.refuse("customer_id", what="customer")
        return None

    async def check_pin(self, book_id: int, card_id: UUID, pin: str) -> bool | None:
        """Whether this is the PIN that the card's holder has chosen; counts as a guess. None: none was chosen."""
        return await check_chosen_pin(
            self.pool,
            Hand(self.clock, self.ids, SYSTEM),
            self.keyring,
            book_id=book_id,
            slots=self.slots,
            card_id=card_id,
            pin=pin,
        )

    async def refresh(self) -> None:
        """Read reference data that has changed."""
        await self.directory.refresh()
        await self.policy.refresh()
        await self.programmes.refresh()
        await self.limits.refresh()
        await self.campaigns.refresh()
        await self.shadows.refresh()
        await self.points.refresh()

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_EVERY_S)
            try:
                if self.keyring.refresh():
                    _log.info("key ring read again", keys=repr(self.keyring))
            except KeyringError as error:
                _log.error("key ring cannot be read", error=str(error))  # the keys that are known stay
            try:
                await self.refresh()
                await self.guesses.refresh()
            except Exception as error:
                if not is_outage(error):
                    _log.error("refresh failed", exc_info=error)
                else:
                    _log.warning("refresh failed", error=describe_failure(error))

    def _place(self, book_id: int, terminal_id: UUID) -> Place | None:
        return self.directory.book(book_id).places.get(terminal_id)

    def _version(self, book_id: int) -> int:
        # any copy may have been refreshed without the others
        copies = (
            self.directory, self.programmes, self.limits, self.campaigns, self.shadows, self.points, self.policy,
        )  # fmt: skip
        return min(copy.version(book_id) for copy in copies)


async def read_slots_of(pool: Pool) -> tuple[int, ...]:
    """The slots of the installation, for commands that open no :class:`App`."""
    async with pool.connection() as connection:
        return await read_slots(connection)


def read_witnesses(settings: Settings) -> WitnessPolicy | None:
    """The witnesses of the log, None without any. Raises SettingsError for a file that names none."""
    path = settings.log_witnesses
    if path is None:
        return None
    try:
        policy = read_policy(path.read_text("utf-8"))
    except (NoteError, OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"KAQUAN_LOG_WITNESSES={str(path)!r}: {error}") from None
    if not policy.witnesses or not all(witness.url for witness in policy.witnesses.values()):
        raise SettingsError(f"KAQUAN_LOG_WITNESSES={str(path)!r}: every witness must have an address, and there be one")
    return policy


def _identity_provider(name: str) -> IdentityProvider:
    provider = find_providers().get(name)
    if provider is None:
        raise SettingsError(f"KAQUAN_IDENTITY_PROVIDER={name!r}: must be one of: {', '.join(find_providers())}")
    return provider
