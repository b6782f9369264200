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

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.money import allocate
from kaquan.kit.outcomes import Refusal
from kaquan.promotions.compile import CompiledCampaigns, CompiledOffer, budget_id, draw_of
from kaquan.promotions.kind import NOTHING, Effects, Gift, Seen, SeenLoad
from kaquan.promotions.outcomes import (
    OFFER_BELOW_THRESHOLD,
    OFFER_BUDGET_EXHAUSTED,
    OFFER_GROUP_TAKEN,
    OFFER_HELD_BACK,
    OFFER_LIMIT_REACHED,
    OFFER_NO_EFFECT,
    OFFER_NOT_FOR_GOODS,
    OFFER_STANDS_ALONE,
)
from kaquan.promotions.terms import ALL_GOODS, BudgetScope, Goods
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
)

_POLICY = UUID(int=0)
"""Owns the budget of the stacking policy, and is the campaign of its use."""
DAY_CAP_ID = budget_id(_POLICY, "max_day_fen")
"""The budget of what a holder gets in discounts on a day, for all campaigns of a book."""


class _Candidate(NamedTuple):
    """An offer that may apply, by itself or by a voucher."""

    offer: CompiledOffer
    voucher_id: UUID | None
    effects: Effects | None
    """On what the basket costs before every offer, if it was asked for."""


class _Result(NamedTuple):
    """What came of applying some offers."""

    offers: list[CompiledOffer]
    """Those that applied."""
    shares: list[Share]
    applied: list[Applied]
    grants: list[Grant]
    given_fen: dict[UUID, int]
    """By campaign: discounts and grants."""
    discount_fen: int
    skipped: list[Skipped]

    @property
    def worth_fen(self) -> int:
        return sum(self.given_fen.values())


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
    offers = compiled.purchases.at(basket)
    lines = basket.lines
    amounts = [line.amount_fen for line in lines]
    amount_fen = sum(amounts)
    outside_fen = 0
    left = amounts
    if basket.outside:
        outside_fen = min(amount_fen, sum(one.amount_fen for one in basket.outside))
        left = [all_ - off for all_, off in zip(amounts, allocate(outside_fen, amounts), strict=True)]
    if not offers and not basket.vouchers:
        skipped = _why_elsewhere(compiled, basket, offers) if explain else ()
        return Pricing(amount_fen, 0, amount_fen - outside_fen, (), (), (), (), skipped)
    pricer = _Pricer(compiled, basket, lines, amounts, left, outside_fen, exhausted, explain)
    result, held_back = pricer.price([(offer, None) for offer in offers], basket)
    skipped = (*result.skipped, *_why_elsewhere(compiled, basket, offers)) if explain else ()
    return Pricing(
        amount_fen,
        result.discount_fen,
        amount_fen - outside_fen - result.discount_fen,
        tuple(result.shares),
        tuple(result.applied),
        tuple(result.grants),
        pricer.uses(result),
        skipped,
        held_back,
    )


def price_load(
    compiled: CompiledCampaigns,
    load: LoadFacts,
    *,
    exhausted: frozenset[UUID] = frozenset(),
    explain: bool = False,
) -> LoadPricing:
    """What a top-up costs, and what it brings beside: as :func:`price_basket`."""
    offers = compiled.loads.at(load)
    skipped: tuple[Skipped, ...]
    if not offers:
        skipped = _why_elsewhere(compiled, load, offers) if explain else ()
        return LoadPricing(load.amount_fen, 0, load.amount_fen, (), (), (), (), skipped)
    amounts = [load.amount_fen]
    lines = (Line(1, "", frozenset(), 1, load.amount_fen),)
    pricer = _Pricer(compiled, load, lines, amounts, amounts, 0, exhausted, explain)
    result, held_back = pricer.price([(offer, None) for offer in offers], None)
    return LoadPricing(
        load.amount_fen,
        result.discount_fen,
        load.amount_fen - result.discount_fen,
        tuple(result.shares),
        tuple(result.applied),
        tuple(result.grants),
        pricer.uses(result),
        (*result.skipped, *_why_elsewhere(compiled, load, offers)) if explain else (),
        held_back,
    )


class _Pricer:
    """One pricing on its way."""

    __slots__ = (
        "amounts",
        "at",
        "bits",
        "compiled",
        "exhausted",
        "explain",
        "left",
        "limit_fen",
        "line_bits",
        "lines",
        "seen_at_list",
        "seen_at_start",
        "skipped",
    )

    def __init__(
        self,
        compiled: CompiledCampaigns,
        at: Basket | LoadFacts,
        lines: Sequence[Line],
        amounts: list[int],
        left: list[int],
        outside_fen: int,
        exhausted: frozenset[UUID],
        explain: bool,
    ) -> None:
        self.compiled, self.at, self.lines, self.amounts, self.left = compiled, at, lines, amounts, left
        self.exhausted, self.explain = exhausted, explain
        self.skipped: list[Skipped] = []
        policy = compiled.policy
        limit_fen = sum(amounts) * policy.max_discount_bp // 10_000
        for most_fen in (policy.max_discount_fen, policy.max_day_fen):
            if most_fen is not None:
                limit_fen = min(limit_fen, most_fen)
        self.limit_fen = max(limit_fen - outside_fen, 0)
        self.line_bits = [compiled.goods_bits(line.sku, line.categories) for line in lines] if compiled.bits else []
        self.bits = 0
        for bits in self.line_bits:
            self.bits |= bits
        everything = list(range(len(lines)))
        self.seen_at_list: dict[Goods, tuple[list[int], Seen]] = {
            ALL_GOODS: (everything, Seen(lines, amounts, sum(amounts)))
        }
        self.seen_at_start = self.seen_at_list
        if left is not amounts:
            self.seen_at_start = {ALL_GOODS: (everything, Seen(lines, left, sum(left)))}

    def price(
        self, offers: list[tuple[CompiledOffer, UUID | None]], basket: Basket | None
    ) -> tuple[_Result, tuple[UUID, ...]]:
        """Choose and apply."""
        taken: dict[str, str] = {}
        if basket is not None:
            taken = {one.group: one.name for one in basket.outside if one.group}
            if basket.vouchers:
                offers = self._with_vouchers(offers, basket)
        found = [(offer, voucher_id) for offer, voucher_id in offers if self._may_apply(offer, voucher_id, taken)]
        together, alone, held_back = self._choose(found)
        result = self._apply(together)
        if alone:
            result = self._stand_alone(alone, together, result)
        self.skipped += result.skipped
        return result._replace(skipped=self.skipped), held_back

    def _with_vouchers(
        self, offers: list[tuple[CompiledOffer, UUID | None]], basket: Basket
    ) -> list[tuple[CompiledOffer, UUID | None]]:
        """With the offers of vouchers at their places. A voucher is for one place and time too."""
        joined = list(offers)
        times: dict[tuple[UUID, str], int] = {}
        for voucher in sorted(basket.vouchers, key=lambda voucher: voucher.voucher_id):
            offer = voucher.offer
            key = (voucher.template_id, offer.name)
            times[key] = times.get(key, 0) + 1
            why = offer.why_not_now(basket.local) or offer.why_not_here(basket)
            if why is None and times[key] > offer.max_vouchers:
                why = OFFER_LIMIT_REACHED.refuse(limit="max_vouchers")
            if why is None:
                joined.append((offer, voucher.voucher_id))
            elif self.explain:
                self._skip(offer, voucher.voucher_id, why)
        joined.sort(key=lambda one: (one[0].rank, b"" if one[1] is None else one[1].bytes))
        return joined

    def _may_apply(self, offer: CompiledOffer, voucher_id: UUID | None, taken: dict[str, str]) -> bool:
        """Whether goods, threshold, holder and budget hold."""
        why: Refusal | None
        if taken and offer.group in taken:
            why = OFFER_GROUP_TAKEN.refuse(group=offer.group, winner=taken[offer.group])
            return self._skip(offer, voucher_id, why) if self.explain else False
        goods = offer.goods
        bit = self.compiled.bits.get(goods) if goods is not ALL_GOODS else None
        if bit is not None and not bit & self.bits:
            return self._skip(offer, voucher_id, OFFER_NOT_FOR_GOODS.refuse()) if self.explain else False
        seen = self.seen(goods, is_of_list=offer.is_of_list)[1]
        if seen.amount_fen < offer.least_fen:
            return self._skip(offer, voucher_id, self._why_too_little(offer, seen)) if self.explain else False
        if offer.asks_holder and (why := offer.why_not_holder(self.at)) is not None:
            return self._skip(offer, voucher_id, why) if self.explain else False
        if self.exhausted and not self.exhausted.isdisjoint(offer.budget_ids):
            return self._skip(offer, voucher_id, OFFER_BUDGET_EXHAUSTED.refuse()) if self.explain else False
        return True

    def _choose(
        self, found: list[tuple[CompiledOffer, UUID | None]]
    ) -> tuple[list[_Candidate], list[_Candidate], tuple[UUID, ...]]:
        """Of each group the best; those without one, those that stand alone, and the campaigns that were held back."""
        at = self.at
        best: dict[str, _Candidate] = {}
        worth: dict[str, int] = {}
        together: list[_Candidate] = []
        alone: list[_Candidate] = []
        held: list[tuple[CompiledOffer, int]] = []
        holder_draw: int | None = None
        for offer, voucher_id in found:
            seen = self.seen(offer.goods, is_of_list=offer.is_of_list)[1]
            effects = self.effects(offer, seen)
            worth_fen = effects.off_fen if not effects.gifts else effects.worth_fen
            if not worth_fen and not effects.gifts:
                if self.explain:
                    self._skip(offer, voucher_id, self.why_nothing(offer, seen))
                continue
            group = offer.group
            if group and not offer.alone and worth_fen <= worth.get(group, -1):
                continue
            if offer.control_bp and voucher_id is None:
                if holder_draw is None:
                    holder_draw = draw_of(at.holder.id)
                if offer.holds_back(holder_draw):
                    held.append((offer, worth_fen))
                    continue
            candidate = _Candidate(offer, voucher_id, effects)
            if offer.alone:
                alone.append(candidate)
            elif group:
                best[group], worth[group] = candidate, worth_fen
            else:
                together.append(candidate)
        if best:
            together += best.values()
            together.sort(key=_rank_of)
            if self.explain:
                self._say_who_won(found, best, {offer.campaign_id for offer, _ in held})
        held_back = dict.fromkeys(offer.campaign_id for offer, fen in held if fen > worth.get(offer.group, -1))
        if self.explain:
            for offer, _ in held:
                self._skip(offer, None, OFFER_HELD_BACK.refuse())
        return together, alone, tuple(held_back)

    def _say_who_won(
        self, found: list[tuple[CompiledOffer, UUID | None]], best: dict[str, _Candidate], held: set[UUID]
    ) -> None:
        said = {(skipped.campaign_id, skipped.offer, skipped.voucher_id) for skipped in self.skipped}
        for offer, voucher_id in found:
            winner = best.get(offer.group)
            if winner is None or offer.alone or (winner.offer is offer and winner.voucher_id == voucher_id):
                continue
            is_held = offer.campaign_id in held and offer.control_bp and voucher_id is None
            if not is_held and (offer.campaign_id, offer.name, voucher_id) not in said:
                self._skip(offer, voucher_id, OFFER_GROUP_TAKEN.refuse(group=offer.group, winner=winner.offer.name))

    def _stand_alone(self, alone: list[_Candidate], together: list[_Candidate], result: _Result) -> _Result:
        """The one that is worth more alone than all others together, if there is one."""
        winner: _Candidate | None = None
        for candidate in alone:
            by_itself = self._apply([candidate])
            if by_itself.worth_fen > result.worth_fen:
                winner, result = candidate, by_itself
        if self.explain:
            beaten = [one for one in alone if one is not winner]
            beaten += together if winner is not None else []
            name = winner.offer.name if winner is not None else ", ".join(one.offer for one in result.applied)
            for candidate in beaten:
                self._skip(candidate.offer, candidate.voucher_id, OFFER_STANDS_ALONE.refuse(winner=name))
        return result

    def _apply(self, candidates: list[_Candidate]) -> _Result:
        """Apply offers in this order."""
        running = self.left.copy()
        limit_fen, max_offers = self.limit_fen, self.compiled.policy.max_offers
        offers: list[CompiledOffer] = []
        shares: list[Share] = []
        applied: list[Applied] = []
        grants: list[Grant] = []
        given: dict[UUID, int] = {}
        skipped: list[Skipped] = []
        discount_fen = 0
        for offer, voucher_id, effects in candidates:
            if max_offers is not None and len(applied) >= max_offers:
                skipped.append(_skipped(offer, voucher_id, OFFER_LIMIT_REACHED.refuse(limit="max_offers")))
                continue
            places = self.seen(offer.goods, is_of_list=offer.is_of_list)[0]
            costs = [running[place] for place in places]
            if effects is None or (discount_fen and not offer.is_of_list):
                seen = Seen([self.lines[place] for place in places], costs, sum(costs))
                effects = self.effects(offer, seen) if seen.amount_fen >= offer.least_fen else NOTHING
                if not effects.off_fen and not effects.gifts:
                    skipped.append(_skipped(offer, voucher_id, self.why_nothing(offer, seen)))
                    continue
            off_fen = min(effects.off_fen, sum(costs), limit_fen - discount_fen)
            gifts_fen = effects.worth_fen - effects.off_fen if effects.gifts else 0
            before_fen = given.get(offer.campaign_id, 0)
            if offer.most_fen is not None:
                off_fen = min(off_fen, offer.most_fen - before_fen - gifts_fen)
                if off_fen < 0:
                    skipped.append(_skipped(offer, voucher_id, OFFER_BUDGET_EXHAUSTED.refuse()))
                    continue
            if off_fen:
                weights = costs
                if effects.by_line is not None:
                    weights = [min(pair) for pair in zip(effects.by_line, costs, strict=True)]
                    off_fen = min(off_fen, sum(weights))
            if not off_fen and not effects.gifts:
                why = OFFER_LIMIT_REACHED.refuse(limit="max_discount") if sum(costs) else OFFER_NO_EFFECT.refuse()
                skipped.append(_skipped(offer, voucher_id, why))
                continue
            if off_fen:
                parts = allocate(off_fen, weights)
                for place, part in zip(places, parts, strict=True):
                    running[place] -= part
                _share(shares, offer, voucher_id, [self.lines[place].number for place in places], parts)
                discount_fen += off_fen
            for gift in effects.gifts:
                grants.append(_grant(offer, gift))
            given[offer.campaign_id] = before_fen + off_fen + gifts_fen
            offers.append(offer)
            applied.append(Applied(offer.campaign_id, offer.version, offer.name, voucher_id, off_fen, offer.on_return))
        return _Result(offers, shares, applied, grants, given, discount_fen, skipped)

    def seen(self, goods: Goods, *, is_of_list: bool) -> tuple[list[int], Seen]:
        """The goods of an offer before every offer: at which places they are, and what they cost."""
        known = self.seen_at_list if is_of_list else self.seen_at_start
        found = known.get(goods)
        if found is None:
            amounts = self.amounts if is_of_list else self.left
            bit = self.compiled.bits.get(goods)
            if bit is not None:
                places = [place for place, bits in enumerate(self.line_bits) if bits & bit]
            else:
                places = [place for place, line in enumerate(self.lines) if goods.holds(line.sku, line.categories)]
            costs = [amounts[place] for place in places]
            found = known[goods] = (places, Seen([self.lines[place] for place in places], costs, sum(costs)))
        return found

    def effects(self, offer: CompiledOffer, seen: Seen) -> Effects:
        """What an offer gives for these goods, or for the load."""
        if offer.is_for_loads:
            return offer.effects(offer.params, self._load(offer))
        return offer.effects(offer.params, seen)

    def why_nothing(self, offer: CompiledOffer, seen: Seen) -> Refusal:
        """What its kind says about having no effect."""
        if not offer.is_for_loads and seen.amount_fen < offer.least_fen:
            return self._why_too_little(offer, seen)
        why = offer.applies(offer.params, self._load(offer) if offer.is_for_loads else seen)
        return why or OFFER_NO_EFFECT.refuse()

    def _why_too_little(self, offer: CompiledOffer, seen: Seen) -> Refusal:
        if not seen.lines:
            return OFFER_NOT_FOR_GOODS.refuse()
        return OFFER_BELOW_THRESHOLD.refuse(amount_fen=seen.amount_fen, needed_fen=offer.least_fen)

    def _load(self, offer: CompiledOffer) -> SeenLoad:
        assert isinstance(self.at, LoadFacts)
        return SeenLoad(self.at, draw_of(self.at.transaction_id, offer.campaign_id, offer.name))

    def uses(self, result: _Result) -> tuple[BudgetUse, ...]:
        """What counts in which budget: each campaign once."""
        uses: list[BudgetUse] = []
        counted: set[UUID] = set()
        for offer in result.offers:
            for budget in offer.budgets:
                if budget.id in counted:
                    continue
                counted.add(budget.id)
                uses.append(
                    BudgetUse(
                        budget.id,
                        offer.campaign_id,
                        self._subject(budget.scope),
                        budget.period.value,
                        result.given_fen[offer.campaign_id],
                        budget.max_fen,
                        budget.max_count,
                    )
                )
        most_fen = self.compiled.policy.max_day_fen
        if most_fen is not None and result.discount_fen:
            uses.append(BudgetUse(DAY_CAP_ID, _POLICY, self.at.holder.id, "day", result.discount_fen, most_fen, None))
        return tuple(uses)

    def _subject(self, scope: BudgetScope) -> UUID | None:
        at = self.at
        if scope is BudgetScope.ALL:
            return None
        if scope is BudgetScope.HOLDER:
            return at.holder.id
        if scope is BudgetScope.CARD:
            return at.holder.card_id
        return at.store_id if scope is BudgetScope.STORE else at.merchant_id

    def _skip(self, offer: CompiledOffer, voucher_id: UUID | None, why: Refusal) -> bool:
        self.skipped.append(_skipped(offer, voucher_id, why))
        return False


def _rank_of(candidate: _Candidate) -> tuple[tuple[int, str, str], bytes]:
    return candidate.offer.rank, b"" if candidate.voucher_id is None else candidate.voucher_id.bytes


def _skipped(offer: CompiledOffer, voucher_id: UUID | None, why: Refusal) -> Skipped:
    return Skipped(offer.campaign_id, offer.name, voucher_id, why.code, tuple(why.details.items()))


def _share(
    into: list[Share], offer: CompiledOffer, voucher_id: UUID | None, numbers: list[int], parts: list[int]
) -> None:
    """The discount of one offer over its lines, over its funders: first each funder's whole, then over the lines."""
    funders = offer.funders
    left = parts
    wholes = allocate(sum(parts), [funder.share_bp for funder in funders]) if len(funders) > 1 else []
    for position, funder in enumerate(funders):
        # No part is more than its weight, so that the last funder's are what is left of each line, and his whole.
        own = left if position == len(funders) - 1 else allocate(wholes[position], left)
        if own is not left:
            left = [all_ - part for all_, part in zip(left, own, strict=True)]
        for number, part in zip(numbers, own, strict=True):
            if part:
                into.append(Share(number, offer.campaign_id, offer.name, voucher_id, funder, part))


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


def _why_elsewhere(
    compiled: CompiledCampaigns, at: Basket | LoadFacts, offers: Sequence[CompiledOffer]
) -> tuple[Skipped, ...]:
    """The offers of a book that are not on at this place and time."""
    asked = {(offer.campaign_id, offer.name) for offer in offers}
    is_load = isinstance(at, LoadFacts)
    return tuple(
        _skipped(offer, None, offer.why_not_now(at.local) or offer.why_not_here(at) or OFFER_NO_EFFECT.refuse())
        for offer in compiled.offers
        if offer.is_for_loads is is_load and (offer.campaign_id, offer.name) not in asked
    )
