"""Load a card: money against a payment into the principal or the restricted pocket, a bonus into the bonus pocket, a
lot each."""

from kaquan.cards import Activation, Pocket, check_going_on, end_of_day
from kaquan.cards.outcomes import FEE_NOT_AGREED, SALE_REQUIRED
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg, NewLot, Posting
from kaquan.payments.give import all_grants, split_bonuses, vouchers_of
from kaquan.payments.kept import hash_kept, write_kept
from kaquan.payments.limits import moment_of
from kaquan.payments.outcomes import BALANCE_CAP_EXCEEDED, POCKET_NOT_OFFERED
from kaquan.payments.plan import count_uses, guards_of, guards_of_all, spendable_fen, too_early, usable_card
from kaquan.payments.points import earn, gift_ends, points_left
from kaquan.payments.price import Parties, bonus_sources, load_of, price_top_up, with_budgets
from kaquan.payments.seen import see_load
from kaquan.payments.types import (
    Facts,
    Funding,
    Instalment,
    Load,
    Payment,
    PaymentKind,
    PaymentStatus,
    Plan,
    PocketAmount,
    Receipt,
    Unopened,
)


def plan_load(facts: Facts, command: Load) -> Plan | Unopened | Refusal:
    """Decide a load, and what the offers that are in force give with it. Its lots remember what was paid and given,
    which the law of refunds asks for (flow 5).

    Refused with ``backdating_forbidden``, ``not_found``, ``card_not_active``, ``card_blocked``, ``card_expired``,
    ``programme_stopped``, ``sale_required``, ``fee_not_agreed``, ``pocket_not_offered``, ``balance_cap_exceeded`` or
    ``limit_exceeded``.
    """
    occurred_at = command.occurred_at or facts.now
    if (refusal := too_early(command)) is not None:
        return refusal
    card = usable_card(facts)
    if isinstance(card, Refusal):
        return card
    programme = facts.programme
    assert programme is not None, "a card's programme is always known"
    if (refusal := check_going_on(programme, facts.now, field="card_id")) is not None:
        return refusal
    if programme.activation is Activation.PAID_SALE and command.sale_id is None:
        return SALE_REQUIRED.refuse("card_id")
    # what a sale or a top-up costs was agreed to when it was made
    fee_fen = programme.fees.load_fen if command.sale_id is None else command.fee_fen
    if command.fee_fen != fee_fen:
        return FEE_NOT_AGREED.refuse("fee_fen", fee_fen=fee_fen)
    if command.pocket is Pocket.BONUS or command.pocket not in card.pockets:
        offered = ", ".join(pocket for pocket in card.pockets if pocket is not Pocket.BONUS)
        return POCKET_NOT_OFFERED.refuse("pocket", pocket=command.pocket.value, offered=offered)
    priced = seen = None
    if facts.offers is not None:
        moment = moment_of(occurred_at, programme.time_zone)
        priced = price_top_up(facts, facts.offers, command, occurred_at=occurred_at, moment=moment)
        if (watch := facts.offers.watch) is not None:
            seen = see_load(
                load_of(facts, facts.offers, command, occurred_at=occurred_at),
                priced,
                issuer_id=programme.issuer_id,
                drafts=watch.drafts,
                exhausted=facts.offers.exhausted,
                is_sold=command.sale_id is not None,
            )
    paid_fen, bonus_fen = command.amount_fen, command.bonus_fen
    given: dict[Funding, int] = {}
    later: tuple[Instalment, ...] = ()
    if priced is not None and facts.offers is not None:
        parties = Parties(programme.issuer_id, None if command.place is None else command.place.merchant_id)
        paid_fen = priced.pricing.payable_fen
        given, later = split_bonuses(
            parties, priced.kept, card=card, programme=programme, payment_id=facts.transaction_id
        )
        bonus_fen += sum(given.values())
    loaded_fen = paid_fen + bonus_fen
    # what has expired and what is set aside is still on the card
    held_fen = sum(pocket.posted_fen for pocket in card.pockets.values()) + loaded_fen
    most_fen = min((cap for cap in (programme.max_balance_fen, command.cap_fen) if cap is not None), default=None)
    if most_fen is not None and held_fen > most_fen:
        return BALANCE_CAP_EXCEEDED.refuse("amount_fen", max_balance_fen=most_fen, balance_fen=held_fen)
    uses = count_uses(facts, command, amount_fen=paid_fen, occurred_at=occurred_at)
    if isinstance(uses, Refusal):
        return uses
    sources = [(facts.accounts.bonus_expense, command.bonus_fen)]
    if given and facts.offers is not None:
        funded = bonus_sources(facts, given, slot=facts.offers.slot, currency=programme.currency)
        if isinstance(funded, Unopened):
            return funded
        sources += funded
    legs: list[Leg] = []
    lots: list[NewLot] = []
    pockets: list[PocketAmount] = []
    balance_fen = spendable_fen(card, facts.now)
    for pocket_name, come_from, valid_days in (
        (command.pocket, [(facts.accounts.load_clearing, paid_fen)], programme.principal_valid_days),
        (Pocket.BONUS, sources, programme.bonus_valid_days),
    ):
        amount_fen = sum(part_fen for _, part_fen in come_from)
        if amount_fen == 0:
            continue
        pocket = card.pockets[pocket_name]
        # A version is used once, so it names the lot that this load opens; the guard makes sure of it.
        lot = pocket.version + 1
        legs += [
            Leg(Effect.POST, source, None, pocket.account_id, lot, part_fen)
            for source, part_fen in come_from
            if part_fen
        ]
        expires_at = (
            end_of_day(occurred_at, valid_days=valid_days, time_zone=programme.time_zone)
            if valid_days is not None
            else None
        )
        lots.append(NewLot(pocket.account_id, lot, paid_fen, bonus_fen, expires_at))
        pockets.append(PocketAmount(pocket_name, amount_fen))
        if expires_at is None or expires_at > facts.now:  # a load of long ago may have ended already
            balance_fen += amount_fen
    if fee_fen:
        legs.append(Leg(Effect.POST, facts.accounts.load_clearing, None, facts.accounts.issuer_fees, None, fee_fen))
    kept, earned = None, None
    # the cap is about all pockets: of two loads of different ones at one moment, one is decided again
    guards = guards_of(card, legs) if most_fen is None else guards_of_all(card)
    if priced is not None and facts.offers is not None:
        uses = with_budgets(uses, priced.kept)
        kept = write_kept(priced.kept)
        gifts = gift_ends(
            facts, priced.kept, points_left(priced.kept, (), authorized=False).given, slot=facts.offers.slot,
            merchant_id=None if command.place is None else command.place.merchant_id, issuer_id=programme.issuer_id,
        )  # fmt: skip
        if isinstance(gifts, Unopened):
            return gifts
        if facts.points is not None and gifts:
            earned = earn(
                facts.points, None, gifts, transaction_id=facts.transaction_id, time_zone=programme.time_zone,
                now=facts.now,
            )  # fmt: skip
    if earned is not None:
        move = earned[0]
        legs, guards, lots = legs + move.legs, guards + move.guards, lots + move.lots
    place = command.place
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind="load",
        effective_at=occurred_at,
        legs=legs,
        guards=guards,
        lots=lots,
        place_id=place.terminal_id if place is not None else None,
        reference=command.reference,
        detail=hash_kept(kept),
    )
    payment = Payment(
        slot=-1,
        id=facts.transaction_id,
        book_id=facts.book_id,
        kind=PaymentKind.LOAD,
        status=PaymentStatus.COMPLETED,
        card_id=card.id,
        merchant_id=place.merchant_id if place is not None else None,
        store_id=place.store_id if place is not None else None,
        terminal_id=place.terminal_id if place is not None else None,
        original_id=None,
        currency=programme.currency,
        amount_fen=paid_fen,
        bonus_fen=bonus_fen,
        captured_fen=paid_fen,
        refunded_fen=0,
        reference=command.reference,
        expires_at=None,
        occurred_at=occurred_at,
        created_at=facts.now,
        version=0,
    )
    if priced is None:
        receipt = Receipt(payment, pockets, balance_fen, fee_fen=fee_fen)
        return Plan(posting, receipt, new=payment, uses=uses, seen=seen)
    return Plan(
        posting,
        Receipt(
            payment,
            pockets,
            balance_fen,
            priced.kept,
            points_earned=0 if earned is None else earned[1].points,
            fee_fen=fee_fen,
        ),
        new=payment,
        uses=uses,
        kept=kept,
        budgets=priced.counted,
        gives=vouchers_of(
            priced.kept.grants, all_grants(priced.kept), card=card, programme=programme, payment_id=payment.id
        ),
        instalments=later,
        earnings=() if earned is None else ((None, earned[1]),),
        seen=seen,
    )
