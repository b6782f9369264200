"""Spend at a terminal: a purchase moves the value, an authorization sets it aside."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from kaquan.cards import PIN_REFUSALS, PinState, check_usable
from kaquan.cards.outcomes import PIN_REQUIRED
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Effect, Leg, NewLot, Posting
from kaquan.payments.give import all_grants, vouchers_of
from kaquan.payments.kept import KeptTender, hash_kept, write_kept
from kaquan.payments.limits import moment_of
from kaquan.payments.outcomes import INSUFFICIENT_FUNDS, NOT_ACCEPTED_HERE, TERMINAL_BLOCKED
from kaquan.payments.part import nets_of, whole
from kaquan.payments.places import LastPlace, PlaceRuleKind, judge_place
from kaquan.payments.plan import by_pocket, count_uses, guards_of, spendable_fen, take, too_early, usable_card
from kaquan.payments.points import bought_of, earn, gift_ends, join, pay_with_points, points_left, tender_leg
from kaquan.payments.price import Parties, basket_of, fund_legs, local_time, price_spend, sum_fundings, with_budgets
from kaquan.payments.redeem import redeeming, take_in_hand
from kaquan.payments.seen import see_basket
from kaquan.payments.types import Facts, Payment, PaymentKind, PaymentStatus, Plan, Receipt, Spend, Unopened
from kaquan.points import Ends, Tender


def plan_spend(facts: Facts, command: Spend) -> Plan | Unopened | Refusal:
    """Decide a purchase or an authorization: of what it costs with the offers that are in force. What points pay of an
    authorization is set aside, as the card's value is.

    Refused with ``backdating_forbidden``, ``not_found``, the codes of cards that are not active, ``card_expired``,
    ``terminal_blocked``, ``not_accepted_here``, ``programme_ended``, ``outside_area``, ``impossible_travel``, those of
    a PIN where the programme asks for one, ``limit_exceeded`` or ``insufficient_funds``, in this order: who has not the
    PIN learns nothing of the balance.
    """
    occurred_at = command.occurred_at or facts.now
    if (refusal := too_early(command)) is not None:
        return refusal
    card = usable_card(facts)
    if isinstance(card, Refusal):
        return card
    place = command.place
    if place.status != "active":
        return TERMINAL_BLOCKED.refuse("terminal_id")
    programme = facts.programme
    if programme is None or not programme.accepts_at(place.merchant_id, place.store_id, place.trade):
        return NOT_ACCEPTED_HERE.refuse("terminal_id")
    if (refusal := check_usable(programme, facts.now, field="card_id")) is not None:
        return refusal
    if facts.place_rules:
        moment = moment_of(occurred_at, programme.time_zone)
        refusal = judge_place(facts.place_rules, place, last=card.last_place, occurred_at=occurred_at, moment=moment)
        if refusal is not None:
            return refusal
    priced, payable_fen, seen = None, command.amount_fen, None
    if facts.offers is not None:
        vouchers = take_in_hand(facts.offers, command, card, now=facts.now) if command.voucher_ids else ()
        if isinstance(vouchers, Refusal):
            return vouchers
        moment = moment_of(occurred_at, programme.time_zone)
        priced = price_spend(facts, facts.offers, command, vouchers, occurred_at=occurred_at, moment=moment)
        if priced is not None:
            payable_fen = priced.pricing.payable_fen
        if (watch := facts.offers.watch) is not None:
            basket = basket_of(facts, facts.offers, command, vouchers, occurred_at=occurred_at)
            seen = see_basket(
                basket, priced, issuer_id=programme.issuer_id, drafts=watch.drafts, exhausted=facts.offers.exhausted
            )
    tender: Tender | None = None
    if command.points:
        paid = pay_with_points(facts, command.points, payable_fen=payable_fen)
        if isinstance(paid, Refusal):
            return paid
        tender = paid
        payable_fen -= tender.amount_fen
    above_fen = programme.pin_required_above_fen
    if above_fen is not None and payable_fen > above_fen and command.pin is not PinState.RIGHT:
        if command.pin is PinState.NOT_GIVEN:
            return PIN_REQUIRED.refuse("pin", above_fen=above_fen)
        return PIN_REFUSALS[command.pin].refuse("pin")
    uses = count_uses(facts, command, amount_fen=payable_fen, occurred_at=occurred_at)
    if isinstance(uses, Refusal):
        return uses
    spend_order = programme.spend_order_at(place.merchant_id, place.store_id, place.trade)
    takings = take(card, spend_order, payable_fen, facts.now) if payable_fen else []
    if isinstance(takings, int):
        return INSUFFICIENT_FUNDS.refuse("amount_fen", available_fen=takings, amount_fen=payable_fen)
    if command.authorize:
        kind, status, effect, captured_fen = PaymentKind.AUTHORIZATION, PaymentStatus.OPEN, Effect.RESERVE, 0
        expires_at = facts.now + timedelta(seconds=command.expires_in_s or programme.authorization_ttl_s)
    else:
        kind, status, effect = PaymentKind.PURCHASE, PaymentStatus.COMPLETED, Effect.POST
        captured_fen, expires_at = payable_fen, None
    payable = facts.accounts.merchant_payable
    legs = [Leg(effect, taking.pocket.account_id, taking.lot, payable, None, taking.amount_fen) for taking in takings]
    kept = None
    if priced is not None and facts.offers is not None:
        parties = Parties(programme.issuer_id, place.merchant_id)
        sums = sum_fundings(parties, [(one.campaign_id, one.funder, one.amount_fen) for one in priced.kept.shares])
        funded = fund_legs(
            facts, effect, sums, slot=facts.offers.slot, merchant_id=place.merchant_id, currency=programme.currency
        )
        if isinstance(funded, Unopened):
            return funded
        legs += funded
        uses = with_budgets(uses, priced.kept)
        if tender is not None:
            told = KeptTender(tender.points, tender.amount_fen, tender.parts)
            priced = priced._replace(kept=priced.kept._replace(tender=told))
            worth = tender_leg(
                facts, effect, slot=facts.offers.slot, issuer_id=programme.issuer_id, payable=payable,
                currency=programme.currency, amount_fen=tender.amount_fen,
            )  # fmt: skip
            if isinstance(worth, Unopened):
                return worth
            legs.append(worth)
        kept = write_kept(priced.kept)
    earned = None
    if facts.points is not None and not command.authorize:
        gifts: Ends = ()
        nets: Sequence[int] = ()
        if priced is not None and facts.offers is not None:
            nets = nets_of(priced.kept, whole(priced.kept))
            ends = gift_ends(
                facts, priced.kept, points_left(priced.kept, (), authorized=False).given, slot=facts.offers.slot,
                merchant_id=place.merchant_id, issuer_id=programme.issuer_id,
            )  # fmt: skip
            if isinstance(ends, Unopened):
                return ends
            gifts = ends
        bought = bought_of(
            facts.points, None if priced is None else priced.kept, nets,
            [(taking.pocket.pocket, taking.amount_fen) for taking in takings], merchant_id=place.merchant_id,
            store_id=place.store_id, trade=place.trade, local=local_time(occurred_at, programme.time_zone),
        )  # fmt: skip
        earned = earn(
            facts.points, bought, gifts, transaction_id=facts.transaction_id, time_zone=programme.time_zone,
            now=facts.now,
        )  # fmt: skip
    guards = guards_of(card, legs)
    lots: tuple[NewLot, ...] = ()
    moves = []
    if tender is not None:
        moves.append(tender.move._replace(legs=[one._replace(effect=effect) for one in tender.move.legs]))
    if moves or earned is not None:
        move = join(*moves, *(() if earned is None else (earned[0],)))
        legs, guards, lots = legs + move.legs, guards + move.guards, tuple(move.lots)
    posting = Posting(
        transaction_id=facts.transaction_id,
        kind=kind.value,
        effective_at=occurred_at,
        legs=legs,
        guards=guards,
        lots=lots,
        place_id=place.terminal_id,
        reference=command.reference,
        detail=hash_kept(kept),
    )
    payment = Payment(
        slot=-1,
        id=facts.transaction_id,
        book_id=facts.book_id,
        kind=kind,
        status=status,
        card_id=card.id,
        merchant_id=place.merchant_id,
        store_id=place.store_id,
        terminal_id=place.terminal_id,
        original_id=None,
        currency=programme.currency,
        amount_fen=payable_fen,
        bonus_fen=0,
        captured_fen=captured_fen,
        refunded_fen=0,
        reference=command.reference,
        expires_at=expires_at,
        occurred_at=occurred_at,
        created_at=facts.now,
        version=0,
    )
    pockets = by_pocket(card, [(taking.pocket.account_id, taking.amount_fen) for taking in takings])
    return Plan(
        posting,
        Receipt(
            payment,
            pockets,
            spendable_fen(card, facts.now) - payable_fen,
            None if priced is None else priced.kept,
            points_earned=0 if earned is None else earned[1].points,
        ),
        new=payment,
        uses=uses,
        last_place=_leave_place(facts, command, occurred_at),
        kept=kept,
        earnings=() if earned is None else ((None, earned[1]),),
        budgets=() if priced is None else priced.counted,
        redeems=() if priced is None or facts.offers is None else redeeming(facts.offers, priced.kept),
        gives=()
        if priced is None or command.authorize
        else vouchers_of(
            priced.kept.grants,
            all_grants(priced.kept),
            card=card,
            programme=programme,
            payment_id=facts.transaction_id,
        ),
        seen=seen,
    )


def _leave_place(facts: Facts, command: Spend, occurred_at: datetime) -> LastPlace | None:
    """What a travel rule will want to know the next time."""
    place = command.place
    if place.latitude_udeg is None or place.longitude_udeg is None:
        return None
    if not any(rule.kind is PlaceRuleKind.TRAVEL for rule in facts.place_rules):
        return None
    return LastPlace(place.store_id, place.latitude_udeg, place.longitude_udeg, occurred_at)
