"""Claim vouchers: by a code, or out of what a template has for everybody."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import Card, Hand
from kaquan.kit.db import Connection, Pool, post_together
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.ledger import Answer, RequestKey, slot_of
from kaquan.vault import Keyring
from kaquan.vouchers import store
from kaquan.vouchers.codes import VOUCHER_CODE, tidy
from kaquan.vouchers.outcomes import (
    NOT_ELIGIBLE,
    TEMPLATE_ENDED,
    VOUCHER_EXPIRED,
    VOUCHER_LIMIT,
    VOUCHER_NOT_USABLE,
    VOUCHERS_GONE,
    missing,
)
from kaquan.vouchers.store import Telling
from kaquan.vouchers.templates import get_template, valid_until_of
from kaquan.vouchers.types import Eligibility, HeldBy, HolderKind, Person, Template, Voucher, VoucherStatus

MAX_TRIES = 8
MAX_AT_ONCE = 100


def holder_of(card: Card) -> HeldBy:
    """Who holds what is given to a card: the person whose it is, else the card."""
    if card.customer_id is not None:
        return HeldBy(HolderKind.CUSTOMER, card.customer_id)
    return HeldBy(HolderKind.CARD, card.id)


def check_claim(template: Template, voucher: Voucher | None, person: Person, *, now: datetime) -> Refusal | None:
    """Whether somebody may claim a voucher (None: any of the template's). Refused: ``voucher_template_ended``,
    ``voucher_not_usable``, ``voucher_expired``, ``voucher_not_eligible``."""
    if template.ended_at is not None:
        return TEMPLATE_ENDED.refuse("template_id" if voucher is None else "code")
    if voucher is not None and voucher.status is not VoucherStatus.ISSUED:
        return unusable(voucher, "code")
    until = template.valid_until if voucher is None else voucher.valid_until
    if until is not None and until <= now:
        return VOUCHER_EXPIRED.refuse("template_id" if voucher is None else "code", valid_until=until.isoformat())
    return None if template.eligibility is None else check_eligibility(template.eligibility, person)


def unusable(voucher: Voucher, field: str) -> Refusal:
    """That a voucher's status does not allow what was asked."""
    return VOUCHER_NOT_USABLE.refuse(field, status=voucher.status.value)


def check_eligibility(asked: Eligibility, person: Person) -> Refusal | None:
    """Whether a person is one of those whom a voucher is for. What is not known of them does not count for them.

    Refused: ``voucher_not_eligible``.
    """
    if asked.min_level is not None and (person.level is None or person.level.rank < asked.min_level.rank):
        level = asked.min_level.value
        return _not_for(f"they must be known at the level {level}", f"实名级别须达到 {level}")
    if asked.segments and not asked.segments & person.segments:
        names = ", ".join(sorted(asked.segments))
        return _not_for(f"they must be of: {names}", f"须属于：{names}")
    if asked.min_age is not None and (person.age is None or person.age < asked.min_age):
        return _not_for(f"they must be at least {asked.min_age} years old", f"须年满 {asked.min_age} 周岁")
    if asked.max_age is not None and (person.age is None or person.age > asked.max_age):
        return _not_for(f"they must be at most {asked.max_age} years old", f"须不超过 {asked.max_age} 周岁")
    return None


def _not_for(why: str, why_zh: str) -> Refusal:
    return NOT_ELIGIBLE.refuse("holder", why=why, why_zh=why_zh)


async def claim_by_code(
    pool: Pool,
    keyring: Keyring,
    hand: Hand,
    *,
    book_id: int,
    slots: Sequence[int],
    code: str,
    holder: HeldBy,
    person: Person,
) -> Voucher | Refusal:
    """The voucher of a code, held from now on; what its holder holds already is the answer again.

    Its caller counts ``not_found`` as a guess. Refused: ``not_found`` (code), as :func:`check_claim`,
    ``voucher_limit_reached``, ``busy``.
    """
    lookups = [lookup for _, lookup in keyring.lookups(tidy(code), VOUCHER_CODE)]
    for _ in range(MAX_TRIES):
        voucher = await store.load_voucher_by_code(pool, book_id=book_id, slots=slots, lookups=lookups)
        if voucher is None:
            return missing("voucher", "code")
        if voucher.holder == holder:
            return voucher
        template = await get_template(pool, book_id=book_id, id_=voucher.template_id)
        assert not isinstance(template, Refusal), "templates are never removed"
        now = hand.clock.now()
        if (refused := check_claim(template, voucher, person, now=now)) is not None:
            return refused
        until = _until(template, voucher, now)
        limit = Limit(template, holder, slots, count=1)

        async def take(connection: Connection, voucher: Voucher = voucher, until: datetime | None = until) -> bool:
            telling = Telling(hand.ids, hand.clock.now(), hand.actor)
            return await store.claim_voucher(connection, voucher, holder, valid_until=until, telling=telling)

        if await post_together(pool, limit.count_in, take):
            (made,) = await store.load_vouchers_named(pool, book_id=book_id, slots=[voucher.slot], ids=[voucher.id])
            return made
        if limit.refused is not None:
            return limit.refused
    return BUSY.refuse()


def _until(template: Template, voucher: Voucher, now: datetime) -> datetime | None:
    """A voucher that was taken in with an end of its own keeps it."""
    return voucher.valid_until or valid_until_of(template, claimed_at=now)


async def claim_once(
    pool: Pool,
    hand: Hand,
    *,
    book_id: int,
    slots: Sequence[int],
    template_id: UUID,
    holder: HeldBy,
    person: Person,
    count: int,
    key: RequestKey,
    render: Callable[[list[Voucher]], Answer],
) -> Answer | Refusal:
    """So many vouchers without a code, all or none, once for a key: vouchers and answer are one commit.

    Refused: ``not_found`` (template_id), as :func:`check_claim`, ``voucher_limit_reached``, ``vouchers_gone``,
    ``busy``.
    """
    template = await get_template(pool, book_id=book_id, id_=template_id, field="template_id")
    if isinstance(template, Refusal):
        return template
    now = hand.clock.now()
    if (refused := check_claim(template, None, person, now=now)) is not None:
        return refused
    limit = Limit(template, holder, slots, count=count)
    until = valid_until_of(template, claimed_at=now)
    slot = slot_of(holder.id, slots)
    home = slots.index(slot)
    taken: list[UUID] = []
    answers: list[Answer] = []

    async def take(connection: Connection) -> bool:
        taken[:] = await store.claim_stock(
            connection, template, holder,
            # each holder begins elsewhere, so that many at once do not all look at one slot
            slots=[*slots[home:], *slots[:home]],
            count=count, valid_until=until, telling=Telling(hand.ids, now, hand.actor),
        )  # fmt: skip
        return len(taken) == count

    async def keep(connection: Connection) -> bool:
        found = await store.read_vouchers_named(connection, book_id=book_id, slots=slots, ids=taken)
        answers[:] = [render(sorted(found, key=lambda one: one.id.int))]
        return await store.keep_answer(connection, book_id=book_id, slot=slot, at=now, key=key, answer=answers[0])

    if await post_together(pool, limit.count_in, take, keep):
        return answers[0]
    if limit.refused is not None:
        return limit.refused
    return VOUCHERS_GONE.refuse("template_id", left=len(taken)) if len(taken) < count else BUSY.refuse()


class Limit:
    """What a holder may have of a template, counted in the transaction of the claim; tells why it was refused."""

    def __init__(self, template: Template, holder: HeldBy, slots: Sequence[int], *, count: int) -> None:
        self._template, self._holder, self._slot, self._count = template, holder, slot_of(holder.id, slots), count
        self.refused: Refusal | None = None

    async def count_in(self, connection: Connection) -> bool:
        maximum = self._template.max_per_holder
        if maximum is None:
            return True
        counted = await store.count_claimed(
            connection, book_id=self._template.book_id, slot=self._slot, holder_id=self._holder.id,
            template_id=self._template.id, count=self._count, maximum=maximum,
        )  # fmt: skip
        self.refused = None if counted else VOUCHER_LIMIT.refuse("holder", maximum=maximum)
        return counted
