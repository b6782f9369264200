"""Price a basket or a top-up with compiled campaigns: live, in a preview, in a replay and in the audit, the same.

In this order, and nothing else decides: (1) what the store or a bank gives already comes off first, and its groups are
taken. (2) Of the offers that are on here, those stay whose goods, threshold and holder hold and whose budget is not
known to be used up. (3) Of each group the one stays that is worth most by itself; of two the one with the lower rank
(order, campaign code, name, and then the voucher). (4) They apply by rank, each on what the ones before left of the
price. (5) One that stands alone replaces them all where it is worth more than they together. No line goes below zero,
and the caps of the stacking policy cut what would go beyond them.

A discount is spread over its goods by what they cost by then, then over its funders, always by
:func:`kaquan.kit.money.allocate`: sums are exact in both directions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.compile import CompiledCampaigns, CompiledOffer, Entry, Plan, budget_id, draw_of, enter
from kaquan.promotions.kind import NOTHING, Effects, Gift, Seen, SeenLoad
from kaquan.promotions.outcomes import (
    OFFER_BUDGET_EXHAUSTED,
    OFFER_GROUP_TAKEN,
    OFFER_HELD_BACK,
    OFFER_LIMIT_REACHED,
    OFFER_NO_EFFECT,
    OFFER_NOT_FOR_GOODS,
    OFFER_NOT_FOR_HOLDER,
    OFFER_STANDS_ALONE,
)
from kaquan.promotions.terms import NO_POLICY, BudgetScope
from kaquan.promotions.types import (
    Applied,
    Basket,
    BudgetUse,
    Grant,
    Line,
    LoadFacts,
    LoadPricing,
    Pricing,
    Share,
    Skipped,
    VoucherInHand,
)

_POLICY = UUID(int=0)
"""Owns the budget of the stacking policy, and is the campaign of its use."""
DAY_CAP_ID = budget_id(_POLICY, "max_day_fen")
"""The budget of what a holder gets in discounts on a day, for all campaigns of a book."""


class _Candidate(msgspec.Struct, frozen=True):
    """An offer that applies if no other is in its way, by itself or by a voucher."""

    offer: CompiledOffer
    voucher_id: UUID | None
    effects: Effects
    """On what the goods cost before every offer."""
    worth_fen: int
    sight: int

    @property
    def rank(self) -> tuple[tuple[int, str, str], bytes]:
        return self.offer.rank, b"" if self.voucher_id is None else self.voucher_id.bytes


class _Result(NamedTuple):
    """What came of applying some offers."""

    offers: list[CompiledOffer]
    """Those that applied."""
    shares: list[Share]
    applied: list[Applied]
    grants: list[Grant]
    given_fen: dict[int, int]
    """By the number of the campaign's id: discounts and grants."""
    points: dict[int, int]
    """The same: points."""
    discount_fen: int
    failed: list[tuple[_Candidate, Refusal]]
    """What the ones before left nothing for."""


def price_basket(
    compiled: CompiledCampaigns,
    basket: Basket,
    *,
    exhausted: frozenset[UUID] = frozenset(),
    explain: bool = False,
) -> Pricing:
    """What a basket costs, and what its offers give. Pure: no clock, and chance only by the transaction's id.

    ``exhausted`` are budgets whose rest is known not to pay for this basket. With ``explain`` every offer that did not
    apply says why.
    """
    plan = compiled.purchases.at(basket)
    amounts = [line.amount_fen for line in basket.lines]
    amount_fen = sum(amounts)
    if not plan.offers and not basket.vouchers and not basket.outside:
        skipped = _explain_elsewhere(compiled, basket, plan) if explain else ()
        return Pricing(amount_fen, 0, amount_fen, (), (), (), (), skipped)
    outside_fen = min(amount_fen, sum([one.amount_fen for one in basket.outside]))
    pricer = _Pricer(compiled, basket, basket.lines, amounts, outside_fen, exhausted)
    result = pricer.price(plan, basket.vouchers)
    return Pricing(
        amount_fen,
        result.discount_fen,
        amount_fen - outside_fen - result.discount_fen,
        tuple(result.shares),
        tuple(result.applied),
        tuple(result.grants),
        pricer.uses(result),
        (*pricer.explain(plan, result), *_explain_elsewhere(compiled, basket, plan)) if explain else (),
        pricer.held_back(),
    )


def price_load(
    compiled: CompiledCampaigns,
    load: LoadFacts,
    *,
    exhausted: frozenset[UUID] = frozenset(),
    explain: bool = False,
) -> LoadPricing:
    """What a top-up costs, and what it brings beside: as :func:`price_basket`."""
    plan = compiled.loads.at(load)
    lines = (Line(1, "", frozenset(), 1, load.amount_fen),)
    pricer = _Pricer(compiled, load, lines, [load.amount_fen], 0, exhausted)
    result = pricer.price(plan, ())
    return LoadPricing(
        load.amount_fen,
        result.discount_fen,
        load.amount_fen - result.discount_fen,
        tuple(result.shares),
        tuple(result.applied),
        tuple(result.grants),
        pricer.uses(result),
        (*pricer.explain(plan, result), *_explain_elsewhere(compiled, load, plan)) if explain else (),
        pricer.held_back(),
    )


class _Pricer:
    """One pricing on its way."""

    __slots__ = (
        "_best",
        "_held",
        "_holder_draw",
        "_limit_fen",
        "_line_bits",
        "_sights",
        "all_fen",
        "amounts",
        "at",
        "basket_bits",
        "compiled",
        "exhausted",
        "left",
        "lines",
        "taken",
    )

    def __init__(
        self,
        compiled: CompiledCampaigns,
        at: Basket | LoadFacts,
        lines: Sequence[Line],
        amounts: list[int],
        outside_fen: int,
        exhausted: frozenset[UUID],
    ) -> None:
        self.compiled, self.at, self.lines, self.amounts, self.exhausted = compiled, at, lines, amounts, exhausted
        self.left = amounts
        self.taken: dict[str, str] = {}
        self.all_fen = sum(amounts)
        """No offer sees more."""
        if outside_fen and isinstance(at, Basket):
            self.left = [all_ - off for all_, off in zip(amounts, allocate(outside_fen, amounts), strict=True)]
            self.taken = {one.group: one.name for one in at.outside if one.group}
        policy = compiled.policy
        limit_fen = self.all_fen
        if policy is not NO_POLICY:
            limit_fen = limit_fen * policy.max_discount_bp // 10_000
            for most_fen in (policy.max_discount_fen, policy.max_day_fen):
                if most_fen is not None:
                    limit_fen = min(limit_fen, most_fen)
        self._limit_fen = max(limit_fen - outside_fen, 0)
        self._line_bits = compiled.line_bits(lines) if compiled.bits else []
        self.basket_bits = 0
        for bits in self._line_bits:
            self.basket_bits |= bits
        self._sights: dict[int, tuple[Sequence[int], Seen]] = {}
        self._best: dict[str, _Candidate] = {}
        self._held: list[_Candidate] = []
        self._holder_draw: int | None = None

    # --- choosing

    def price(self, plan: Plan, vouchers: Sequence[VoucherInHand]) -> _Result:
        """Choose and apply."""
        best, taken = self._best, self.taken
        for group, ladder in plan.groups:
            if taken and group in taken:
                continue
            if (found := self._best_of(ladder.at(self.all_fen), None, None)) is not None:
                best[group] = found
        free = [one for offer in plan.free if (one := self._best_of(offer, None, None)) is not None]
        alone = [one for offer in plan.alone if (one := self._best_of(offer, None, None)) is not None]
        if vouchers:
            self._add_vouchers(vouchers, free, alone)
        free += best.values()
        if len(free) > 1:
            free.sort(key=_RANK)
        result = self._apply(free)
        for candidate in alone:
            by_itself = self._apply([candidate])
            if sum(by_itself.given_fen.values()) > sum(result.given_fen.values()):
                result = by_itself
        return result

    def _add_vouchers(self, vouchers: Sequence[VoucherInHand], free: list[_Candidate], alone: list[_Candidate]) -> None:
        for voucher in in_turn(vouchers):
            offer, voucher_id = voucher.offer, voucher.voucher_id
            if self._why_not_voucher(offer, voucher_id) is not None or offer.group in self.taken:
                continue
            is_grouped = bool(offer.group) and not offer.alone
            found = self._best_of((enter(offer),), voucher_id, self._best.get(offer.group) if is_grouped else None)
            if found is None or found.voucher_id != voucher_id:
                continue
            if is_grouped:
                self._best[offer.group] = found
            else:
                (alone if offer.alone else free).append(found)

    def _why_not_voucher(self, offer: CompiledOffer, voucher_id: UUID) -> Refusal | None:
        """Refused: ``offer_not_now``, ``offer_not_here``, ``offer_limit_reached``: a voucher has its time and place."""
        at = self.at
        assert isinstance(at, Basket)
        why = offer.why_not_now(at.local) or offer.why_not_here(at)
        if why is not None:
            return why
        same = sorted(v.voucher_id for v in at.vouchers if v.offer.rank == offer.rank)
        over = same.index(voucher_id) >= offer.max_vouchers
        return OFFER_LIMIT_REACHED.refuse(limit="max_vouchers") if over else None

    def _best_of(self, entries: Sequence[Entry], voucher_id: UUID | None, best: _Candidate | None) -> _Candidate | None:
        """The offer that is worth most to the holder, if one is worth more than ``best``."""
        best_fen = 0 if best is None else best.worth_fen
        basket_bits, all_fen, sights, exhausted = self.basket_bits, self.all_fen, self._sights, self.exhausted
        for bound_fen, bit, sight, least_fen, most_bp, most_fen, offer in entries:
            if bound_fen < best_fen:
                break  # and so are all after it
            if bit:
                if not bit & basket_bits:
                    continue
                amounts = self.amounts if sight & 1 else self.left
                amount_fen = 0
                for bits, fen in zip(self._line_bits, amounts, strict=True):
                    if bits & bit:
                        amount_fen += fen
            else:
                amount_fen = all_fen
            if amount_fen < least_fen:
                continue
            if best is not None:
                most = min(most_fen, amount_fen * most_bp // 10_000)
                if most < best_fen or (most == best_fen and best.rank[0] < offer.rank):
                    continue
            seen = (sights.get(sight) or self._see(offer, sight))[1]
            if seen.amount_fen < least_fen:
                continue
            if offer.asks_holder and offer.why_not_holder(self.at) is not None:
                continue
            if exhausted and not exhausted.isdisjoint(offer.budget_ids):
                continue
            effects = offer.effects(offer.params, self._load(offer) if offer.is_for_loads else seen)
            worth_fen = effects.worth_fen if effects.gifts else effects.off_fen
            if worth_fen < best_fen or not (worth_fen or effects.gifts):
                continue
            candidate = _Candidate(offer, voucher_id, effects, worth_fen, sight)
            if best is not None and worth_fen == best_fen and best.rank < candidate.rank:
                continue
            if offer.control_bp and voucher_id is None:
                if self._holder_draw is None:
                    self._holder_draw = draw_of(self.at.holder.id)
                if offer.holds_back(self._holder_draw):
                    self._held.append(candidate)
                    continue
            best, best_fen = candidate, worth_fen
        return best

    def _see(self, offer: CompiledOffer, sight: int) -> tuple[Sequence[int], Seen]:
        """The goods of an offer before every offer: at which places they are, and what they cost."""
        amounts = self.amounts if offer.is_of_list else self.left
        lines, bit = self.lines, offer.bit
        places: Sequence[int]
        if bit:
            places = [place for place, bits in enumerate(self._line_bits) if bits & bit]
        elif sight >= 0:
            places = range(len(lines))
        else:
            holds = offer.goods.holds
            places = [place for place, line in enumerate(lines) if holds(line.sku, line.categories)]
        if len(places) == len(lines):
            seen = Seen(lines, amounts, sum(amounts))
        else:
            costs = [amounts[place] for place in places]
            seen = Seen([lines[place] for place in places], costs, sum(costs))
        found = self._sights[sight] = (places, seen)
        return found

    def _load(self, offer: CompiledOffer) -> SeenLoad:
        assert isinstance(self.at, LoadFacts)
        return SeenLoad(self.at, draw_of(self.at.transaction_id, offer.campaign_id, offer.name))

    def held_back(self) -> tuple[UUID, ...]:
        """The campaigns that would have applied, were it not for their control groups."""
        if not self._held:
            return ()
        would = []
        for held in self._held:
            best = None if held.offer.alone else self._best.get(held.offer.group)
            if best is None or (-held.worth_fen, held.rank) < (-best.worth_fen, best.rank):
                would.append(held.offer.campaign_id)
        return tuple(dict.fromkeys(would))

    # --- applying

    def _apply(self, candidates: list[_Candidate]) -> _Result:
        """Apply offers in this order."""
        lines, limit_fen, max_offers = self.lines, self._limit_fen, self.compiled.policy.max_offers
        running = self.left.copy()
        offers: list[CompiledOffer] = []
        shares: list[Share] = []
        applied: list[Applied] = []
        grants: list[Grant] = []
        given: dict[int, int] = {}
        points: dict[int, int] = {}
        failed: list[tuple[_Candidate, Refusal]] = []
        discount_fen = 0
        for candidate in candidates:
            offer, voucher_id, effects = candidate.offer, candidate.voucher_id, candidate.effects
            if max_offers is not None and len(applied) >= max_offers:
                failed.append((candidate, OFFER_LIMIT_REACHED.refuse(limit="max_offers")))
                continue
            places, seen = self._sights[candidate.sight]
            costs = running if len(places) == len(running) else [running[place] for place in places]
            if discount_fen and not offer.is_of_list:
                seen = Seen(seen.lines, costs, sum(costs))
                effects = self._effects(offer, seen)
            off_fen, gifts = effects.off_fen, effects.gifts
            if not off_fen and not gifts:
                failed.append((candidate, self._why_nothing(offer, seen) or OFFER_NO_EFFECT.refuse()))
                continue
            gifts_fen = effects.worth_fen - off_fen if gifts else 0
            campaign = offer.campaign_id.int
            given_fen = given.get(campaign, 0)
            if off_fen:
                weights = costs
                if effects.by_line is not None:
                    weights = [min(pair) for pair in zip(effects.by_line, costs, strict=True)]
                off_fen = min(off_fen, sum(weights), limit_fen - discount_fen)
            if offer.most_fen is not None and off_fen + gifts_fen + given_fen > offer.most_fen:
                off_fen = offer.most_fen - given_fen - gifts_fen
                if off_fen < 0 or not (off_fen or gifts):
                    failed.append((candidate, OFFER_BUDGET_EXHAUSTED.refuse()))
                    continue
            given_points = effects.points if gifts else 0
            most_points = offer.most_points
            if given_points and most_points is not None and points.get(campaign, 0) + given_points > most_points:
                failed.append((candidate, OFFER_BUDGET_EXHAUSTED.refuse()))
                continue
            if off_fen:
                parts = allocate(off_fen, weights)
                for place, part in zip(places, parts, strict=True):
                    running[place] -= part
                discount_fen += off_fen
                _share(shares, candidate, lines, places, parts)
            elif not gifts:
                why = OFFER_LIMIT_REACHED.refuse(limit="max_discount") if any(weights) else OFFER_NO_EFFECT.refuse()
                failed.append((candidate, why))
                continue
            for gift in gifts:
                grants.append(_grant(offer, gift))
            given[campaign] = given_fen + off_fen + gifts_fen
            if given_points:
                points[campaign] = points.get(campaign, 0) + given_points
            offers.append(offer)
            applied.append(Applied(offer.campaign_id, offer.version, offer.name, voucher_id, off_fen, offer.on_return))
        return _Result(offers, shares, applied, grants, given, points, discount_fen, failed)

    def _effects(self, offer: CompiledOffer, seen: Seen) -> Effects:
        """What an offer gives by now."""
        if offer.is_for_loads:
            effects: Effects = offer.effects(offer.params, self._load(offer))
            return effects
        return NOTHING if seen.amount_fen < offer.bounds.least_fen else offer.effects(offer.params, seen)

    def uses(self, result: _Result) -> tuple[BudgetUse, ...]:
        """What counts in which budget: each campaign once."""
        uses: list[BudgetUse] = []
        left = dict(result.given_fen)
        firsts: set[UUID] = set()
        for offer in result.offers:
            if offer.asks and (first_id := offer.first_id) is not None and first_id not in firsts:
                firsts.add(first_id)
                uses.append(BudgetUse(first_id, _POLICY, self.at.holder.id, "total", 0, None, 1, True))
            given_fen = left.pop(offer.campaign_id.int, None)
            if given_fen is None:
                continue
            given_points = result.points.get(offer.campaign_id.int, 0)
            for id_, scope, period, max_fen, max_count, back, is_points in offer.budgets:
                subject_id = None if scope is BudgetScope.ALL else self._subject(scope)
                own = scope is BudgetScope.HOLDER or scope is BudgetScope.CARD
                amount = given_points if is_points else given_fen
                uses.append(
                    BudgetUse(id_, offer.campaign_id, subject_id, period, amount, max_fen, max_count, own, back)
                )
        most_fen = self.compiled.policy.max_day_fen
        if most_fen is not None and result.discount_fen:
            uses.append(
                BudgetUse(DAY_CAP_ID, _POLICY, self.at.holder.id, "day", result.discount_fen, most_fen, None, True)
            )
        return tuple(uses)

    def _subject(self, scope: BudgetScope) -> UUID | None:
        at = self.at
        if scope is BudgetScope.HOLDER:
            return at.holder.id
        if scope is BudgetScope.CARD:
            return at.holder.card_id
        return at.store_id if scope is BudgetScope.STORE else at.merchant_id

    # --- explaining

    def explain(self, plan: Plan, result: _Result) -> list[Skipped]:
        """Why the others did not apply: asked afterwards, so that who does not ask does not pay for it."""
        done = {(one.campaign_id, one.offer, one.voucher_id) for one in result.applied}
        failed = {(one.offer.campaign_id, one.offer.name, one.voucher_id): why for one, why in result.failed}
        asked: list[tuple[CompiledOffer, UUID | None]] = [(offer, None) for offer in plan.offers]
        if isinstance(self.at, Basket):
            asked += [(voucher.offer, voucher.voucher_id) for voucher in in_turn(self.at.vouchers)]
        told = []
        for offer, voucher_id in asked:
            key = (offer.campaign_id, offer.name, voucher_id)
            if key not in done:
                why = failed.get(key) or self._why_not(offer, voucher_id, result)
                told.append(_skipped(offer, voucher_id, why))
        return told

    def _why_not(self, offer: CompiledOffer, voucher_id: UUID | None, result: _Result) -> Refusal:
        """The first reason, in the order in which they are asked."""
        if voucher_id is not None and (why := self._why_not_voucher(offer, voucher_id)) is not None:
            return why
        if offer.group in self.taken:
            return OFFER_GROUP_TAKEN.refuse(group=offer.group, winner=self.taken[offer.group])
        seen = (self._sights.get(offer.sight) or self._see(offer, offer.sight))[1]
        if not seen.lines:
            return OFFER_NOT_FOR_GOODS.refuse()
        why = offer.why_not_holder(self.at) or self._why_nothing(offer, seen)
        if why is not None:
            return why
        if offer.first_id in self.exhausted:
            return OFFER_NOT_FOR_HOLDER.refuse(condition="first_purchase")
        if not self.exhausted.isdisjoint(offer.budget_ids):
            return OFFER_BUDGET_EXHAUSTED.refuse()
        if any(one.offer is offer for one in self._held):
            return OFFER_HELD_BACK.refuse()
        winner = self._best.get(offer.group)
        if winner is not None and not offer.alone and (winner.offer, winner.voucher_id) != (offer, voucher_id):
            return OFFER_GROUP_TAKEN.refuse(group=offer.group, winner=winner.offer.name)
        return OFFER_STANDS_ALONE.refuse(winner=", ".join(one.offer for one in result.applied))

    def _why_nothing(self, offer: CompiledOffer, seen: Seen) -> Refusal | None:
        """What its kind says about having no effect."""
        why: Refusal | None = offer.applies(offer.params, self._load(offer) if offer.is_for_loads else seen)
        return why


_RANK = attrgetter("rank")
_new_share: Callable[[tuple[object, ...]], Share] = partial(tuple.__new__, Share)
"""A share of its fields in half the time: a basket has dozens."""


def in_turn(vouchers: Sequence[VoucherInHand]) -> list[VoucherInHand]:
    """Vouchers in the order in which they are used: the older first, by their ids."""
    return sorted(vouchers, key=lambda voucher: voucher.voucher_id)


def _skipped(offer: CompiledOffer, voucher_id: UUID | None, why: Refusal) -> Skipped:
    return Skipped(offer.campaign_id, offer.name, voucher_id, why.code, tuple(why.details.items()))


def _share(
    into: list[Share], candidate: _Candidate, lines: Sequence[Line], places: Sequence[int], parts: list[int]
) -> None:
    """The discount of one offer over its lines, over its funders: first each funder's whole, then over the lines."""
    offer, voucher_id = candidate.offer, candidate.voucher_id
    campaign_id, name, funders = offer.campaign_id, offer.name, offer.funders
    left = parts
    wholes = allocate(sum(parts), [funder.share_bp for funder in funders]) if len(funders) > 1 else ()
    for position, funder in enumerate(funders):
        # No part is more than its weight, so that the last funder's are what is left of each line, and his whole.
        own = left
        if position < len(funders) - 1:
            own = allocate(wholes[position], left)
            left = [all_ - part for all_, part in zip(left, own, strict=True)]
        into += [
            _new_share((lines[place].number, campaign_id, name, voucher_id, funder, part))
            for place, part in zip(places, own, strict=True)
            if part
        ]


def _grant(offer: CompiledOffer, gift: Gift) -> Grant:
    return Grant(
        offer.campaign_id,
        offer.name,
        gift.kind,
        gift.amount_fen,
        gift.template_id,
        gift.count,
        gift.due_on,
        offer.funders,
        gift.card_id,
        offer.on_return,
    )


def _explain_elsewhere(compiled: CompiledCampaigns, at: Basket | LoadFacts, plan: Plan) -> tuple[Skipped, ...]:
    """The offers of a book that are not on at this place and time."""
    asked = {(offer.campaign_id, offer.name) for offer in plan.offers}
    is_load = isinstance(at, LoadFacts)
    return tuple(
        _skipped(offer, None, why)
        for offer in compiled.offers
        if offer.is_for_loads is is_load
        and (offer.campaign_id, offer.name) not in asked
        and (why := offer.why_not_now(at.local) or offer.why_not_here(at)) is not None
    )
