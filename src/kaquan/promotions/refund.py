"""What a refund takes back: of every offer's discount, funder by funder, and of everything that was granted.

What a purchase gave is kept (:class:`KeptPricing`), and every refund leaves a smaller one. A refund of a part of a line
takes the same part of everything that is left on it, split by :func:`kaquan.kit.money.allocate` over what is left, so
that no sequence of refunds gives anything back twice, and a refund of everything leaves nothing. An offer that comes
back by the threshold is priced again for the goods that stay: what they would not have earned is taken from the refund.
"""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from kaquan.kit.money import allocate
from kaquan.promotions.types import Applied, Basket, Grant, GrantKind, OnReturn, Pricing, Share


class KeptLine(NamedTuple):
    """A line as far as it was not brought back. ``amount_fen`` is at list price: what was paid, what came from outside,
    and the shares of the line together."""

    number: int
    amount_fen: int
    paid_fen: int
    outside_fen: int


class KeptPricing(NamedTuple):
    """What is left of a priced basket; what a payment keeps to refund by."""

    lines: tuple[KeptLine, ...]
    shares: tuple[Share, ...]
    grants: tuple[Grant, ...]
    applied: tuple[Applied, ...]

    @property
    def paid_fen(self) -> int:
        """What can still be paid back."""
        return sum(line.paid_fen for line in self.lines)

    @property
    def amount_fen(self) -> int:
        """What is left at list price."""
        return sum(line.amount_fen for line in self.lines)

    @property
    def asks_again(self) -> bool:
        """Whether a refund needs to know what the goods that stay would have earned."""
        return any(one.on_return is OnReturn.THRESHOLD for one in self.applied)


class RefundPricing(NamedTuple):
    """What comes back. ``paid_fen`` to the holder, ``outside_fen`` to whoever gave it, the shares to their funders."""

    paid_fen: int
    outside_fen: int
    shares: tuple[Share, ...]
    grants: tuple[Grant, ...]
    """Taken from the holder: the part that comes back of each."""
    vouchers: tuple[UUID, ...]
    """Redeemed by the purchase and now the holder's again: nothing is left of what they gave."""
    left: KeptPricing


def keep_pricing(basket: Basket, pricing: Pricing) -> KeptPricing:
    """What is kept of a basket as it was paid."""
    amounts = [line.amount_fen for line in basket.lines]
    off: dict[int, int] = {}
    for share in pricing.shares:
        off[share.line] = off.get(share.line, 0) + share.amount_fen
    outside_fen = pricing.amount_fen - pricing.discount_fen - pricing.payable_fen
    outside = allocate(outside_fen, amounts) if outside_fen else [0] * len(amounts)
    return KeptPricing(
        tuple(
            KeptLine(line.number, line.amount_fen, line.amount_fen - outside[place] - off.get(line.number, 0), part)
            for place, (line, part) in enumerate(zip(basket.lines, outside, strict=True))
        ),
        pricing.shares,
        pricing.grants,
        pricing.applied,
    )


def price_refund(kept: KeptPricing, returned: Mapping[int, int], *, again: Pricing | None = None) -> RefundPricing:
    """What comes back when of each line so much is brought back, at list price.

    ``again`` is what the goods that stay would cost (their amounts less what is returned now, priced with the same
    versions at the same time); without it every offer comes back by its share. Raises ValueError if a line is not
    among those that are left or has less.
    """
    known = {line.number: line for line in kept.lines}
    for number, amount_fen in returned.items():
        if number not in known or not 0 <= amount_fen <= known[number].amount_fen:
            raise ValueError(f"line {number}: there are not {amount_fen} left of it")
    lines, shares, back = [], list(kept.shares), [0] * len(kept.shares)
    paid_fen = outside_fen = 0
    for line in kept.lines:
        amount_fen = returned.get(line.number, 0)
        if not amount_fen:
            lines.append(line)
            continue
        own = [place for place, share in enumerate(shares) if share.line == line.number]
        parts = allocate(amount_fen, [line.paid_fen, line.outside_fen, *(shares[place].amount_fen for place in own)])
        lines.append(
            KeptLine(line.number, line.amount_fen - amount_fen, line.paid_fen - parts[0], line.outside_fen - parts[1])
        )
        paid_fen += parts[0]
        outside_fen += parts[1]
        for place, part in zip(own, parts[2:], strict=True):
            back[place] = part
    if again is not None:
        paid_fen = _take_back_unearned(kept, again, lines, back, paid_fen)
    return _close(kept, again, lines, back, paid_fen, outside_fen)


def price_refund_of(kept: KeptPricing, paid_fen: int) -> RefundPricing:
    """What comes back with an amount that is paid back without saying for which goods: the same part of every line.

    Every offer comes back by its share; paying back all that is left brings everything back. Raises ValueError if more
    is asked for than is left.
    """
    if not 0 <= paid_fen <= kept.paid_fen:
        raise ValueError(f"there are not {paid_fen} left to pay back")
    whole_fen, is_all = kept.paid_fen, paid_fen == kept.paid_fen
    back = [share.amount_fen if is_all else share.amount_fen * paid_fen // whole_fen for share in kept.shares]
    paid = allocate(paid_fen, [line.paid_fen for line in kept.lines])
    lines = []
    outside_fen = 0
    for line, part in zip(kept.lines, paid, strict=True):
        outside = line.outside_fen if is_all else line.outside_fen * paid_fen // whole_fen
        off = sum(b for b, share in zip(back, kept.shares, strict=True) if share.line == line.number)
        outside_fen += outside
        lines.append(
            KeptLine(
                line.number, line.amount_fen - part - outside - off, line.paid_fen - part, line.outside_fen - outside
            )
        )
    return _close(kept, None, lines, back, paid_fen, outside_fen)


def _take_back_unearned(
    kept: KeptPricing, again: Pricing, lines: list[KeptLine], back: list[int], paid_fen: int
) -> int:
    """Take from the refund what the goods that stay have not earned; what is paid back after it.

    What is left in the shares after the part that came back, less what the offer would give now; never more than the
    refund: who returns goods pays nothing on top, and the next refund takes the rest.
    """
    now: dict[tuple[UUID, str, UUID | None], int] = {}
    for one in again.applied:
        now[one.campaign_id, one.offer, one.voucher_id] = one.discount_fen
    for one in kept.applied:
        if one.on_return is not OnReturn.THRESHOLD:
            continue
        key = (one.campaign_id, one.offer, one.voucher_id)
        own = [
            place
            for place, share in enumerate(kept.shares)
            if (share.campaign_id, share.offer, share.voucher_id) == key
        ]
        left = [kept.shares[place].amount_fen - back[place] for place in own]
        unearned_fen = min(paid_fen, max(0, sum(left) - now.get(key, 0)))
        if not unearned_fen:
            continue
        paid_fen -= unearned_fen
        for place, part in zip(own, allocate(unearned_fen, left), strict=True):
            back[place] += part
            number = kept.shares[place].line
            at = next(at for at, line in enumerate(lines) if line.number == number)
            lines[at] = lines[at]._replace(paid_fen=lines[at].paid_fen + part)
    return paid_fen


def _close(
    kept: KeptPricing,
    again: Pricing | None,
    lines: list[KeptLine],
    back: list[int],
    paid_fen: int,
    outside_fen: int,
) -> RefundPricing:
    before_fen = kept.amount_fen
    left_fen = sum(line.amount_fen for line in lines)
    pairs = [_split_grant(grant, again, before_fen=before_fen, left_fen=left_fen) for grant in kept.grants]
    shares_left = tuple(
        share._replace(amount_fen=share.amount_fen - part)
        for share, part in zip(kept.shares, back, strict=True)
        if share.amount_fen > part
    )
    still = {share.voucher_id for share in shares_left}
    gone = left_fen == 0
    vouchers = tuple(
        one.voucher_id
        for one in kept.applied
        if one.voucher_id is not None and (gone or (one.discount_fen and one.voucher_id not in still))
    )
    return RefundPricing(
        paid_fen,
        outside_fen,
        tuple(share._replace(amount_fen=part) for share, part in zip(kept.shares, back, strict=True) if part),
        tuple(taken for taken, _ in pairs if taken is not None),
        vouchers,
        KeptPricing(
            tuple(lines),
            shares_left,
            tuple(rest for _, rest in pairs if rest is not None),
            tuple(one for one in kept.applied if one.voucher_id is None or one.voucher_id not in vouchers),
        ),
    )


def _split_grant(
    grant: Grant, again: Pricing | None, *, before_fen: int, left_fen: int
) -> tuple[Grant | None, Grant | None]:
    """What is taken back of a grant, and what stays. Vouchers come back whole: a part of one stays with the holder."""
    if grant.on_return is OnReturn.KEEP:
        return None, grant if left_fen else None
    parts = grant.count if grant.kind is GrantKind.VOUCHERS else grant.amount_fen
    stays = -(-parts * left_fen // before_fen) if before_fen else 0
    if grant.on_return is OnReturn.THRESHOLD and again is not None:
        now = [
            one.count if grant.kind is GrantKind.VOUCHERS else one.amount_fen
            for one in again.grants
            if (one.campaign_id, one.offer, one.template_id, one.card_id)
            == (grant.campaign_id, grant.offer, grant.template_id, grant.card_id)
        ]
        stays = min(stays, sum(now))
    return _part(grant, parts - stays, parts), _part(grant, stays, parts)


def _part(grant: Grant, part: int, whole: int) -> Grant | None:
    if not part:
        return None
    if grant.kind is GrantKind.VOUCHERS:
        return grant._replace(count=part, amount_fen=grant.amount_fen * part // whole)
    return grant._replace(amount_fen=part)


def basket_left(basket: Basket, kept: KeptPricing, returned: Mapping[int, int]) -> Basket:
    """The basket of the goods that stay, to be priced again. Of a line that comes back in part, the pieces that stay
    are as many as its amount pays for, a begun one counted."""
    left = {line.number: line.amount_fen - returned.get(line.number, 0) for line in kept.lines}
    return basket._replace(
        lines=tuple(
            line._replace(
                amount_fen=left[line.number], quantity=-(-line.quantity * left[line.number] // line.amount_fen)
            )
            for line in basket.lines
            if left.get(line.number)
        )
    )
