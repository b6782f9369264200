"""What a purchase would cost now, and why every other offer does not apply: the price of the till, nothing written."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.outcomes import NOT_FOUND, Refusal
from kaquan.payments.kept import Kept
from kaquan.payments.limits import Moment, moment_of
from kaquan.payments.outcomes import NOT_ACCEPTED_HERE, TERMINAL_BLOCKED
from kaquan.payments.plan import programme_of, spendable_fen, usable_card
from kaquan.payments.price import Priced, basket_of, keep
from kaquan.payments.redeem import holders_of, in_hand
from kaquan.payments.types import Facts, OfferFacts, Spend
from kaquan.promotions import DAY_CAP_ID, EMPTY, Skipped, VoucherInHand, price_basket
from kaquan.vouchers import check_use


class VoucherUse(NamedTuple):
    """A voucher that the holder has: what it would take off with this basket, or why nothing."""

    voucher_id: UUID
    template_id: UUID
    name: str
    discount_fen: int
    why: Refusal | None


class Quote(NamedTuple):
    """What a purchase would cost. ``available_fen`` is what the card has to pay it with."""

    kept: Kept
    payable_fen: int
    available_fen: int
    skipped: tuple[Skipped, ...]
    vouchers: tuple[VoucherUse, ...]


def quote_spend(facts: Facts, command: Spend, held: Sequence[UUID]) -> tuple[Quote, Priced] | Refusal:
    """The price of a spend as :func:`kaquan.payments.spend.plan_spend` finds it. ``held`` are vouchers that the holder
    has: those that are not in the command are tried one by one.

    Refused: ``not_found``, the codes of cards that are not active, ``card_expired``, ``terminal_blocked``,
    ``not_accepted_here``. A voucher of the command that cannot be redeemed refuses nothing here: it says why.
    """
    card = usable_card(facts)
    if isinstance(card, Refusal):
        return card
    place, programme = command.place, programme_of(facts)
    if place.status != "active":
        return TERMINAL_BLOCKED.refuse("terminal_id")
    if not programme.accepts_at(place.merchant_id, place.store_id, place.trade):
        return NOT_ACCEPTED_HERE.refuse("terminal_id")
    offers = facts.offers
    assert offers is not None, "a quote is about offers"
    moment = moment_of(command.occurred_at or facts.now, programme.time_zone)
    usable: dict[UUID, VoucherInHand] = {}
    uses: list[VoucherUse] = []
    for voucher_id in dict.fromkeys((*command.voucher_ids, *held)):
        found = offers.vouchers.get(voucher_id)
        why: Refusal | None
        if found is None:
            return NOT_FOUND.refuse("vouchers", what="voucher")
        why = check_use(
            found.voucher, found.template, holders=holders_of(card), district=place.district, now=facts.now,
            field="vouchers",
        )  # fmt: skip
        if why is None:
            usable[voucher_id] = in_hand(found)
        else:
            uses.append(VoucherUse(voucher_id, found.template.id, found.template.name, 0, why))
    asked = tuple(usable[id_] for id_ in command.voucher_ids if id_ in usable)
    priced, skipped = _price(facts, offers, command, asked, moment)
    for voucher_id, voucher in usable.items():
        alone = priced if voucher in asked else _price(facts, offers, command, (*asked, voucher), moment)[0]
        taken_fen = sum(one.discount_fen for one in alone.kept.applied if one.voucher_id == voucher_id)
        template = offers.vouchers[voucher_id].template
        uses.append(VoucherUse(voucher_id, template.id, template.name, taken_fen, None))
    quote = Quote(priced.kept, priced.pricing.payable_fen, spendable_fen(card, facts.now), skipped, tuple(uses))
    return quote, priced


def _price(
    facts: Facts, offers: OfferFacts, command: Spend, vouchers: tuple[VoucherInHand, ...], moment: Moment
) -> tuple[Priced, tuple[Skipped, ...]]:
    basket = basket_of(facts, offers, command, vouchers, occurred_at=command.occurred_at or facts.now)
    campaigns = offers.campaigns
    if DAY_CAP_ID in offers.exhausted:
        campaigns, basket = EMPTY, basket._replace(vouchers=())
    pricing = price_basket(campaigns, basket, exhausted=offers.exhausted, explain=True)
    return Priced(pricing, keep(basket, pricing, moment=moment)), pricing.skipped
