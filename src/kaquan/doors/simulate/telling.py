"""Who tells the stories, and looks at their cards, vouchers and points again long after they are over."""

from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any

from kaquan.doors.simulate import drafts, endings, lives, mailbox, offers, rewards, running, sales, stories
from kaquan.doors.simulate.offers import Member
from kaquan.doors.simulate.office import Office, ViolationError
from kaquan.doors.simulate.stories import LostError, check_fields
from kaquan.doors.simulate.wire import Line

KEPT = 300
"""How many cards of stories that are over are looked at again later, and as many vouchers and points."""

QUICK_STORIES: list[Callable[[Member], Awaitable[None]]] = [
    stories.spend_and_close, stories.adjust_by_two, stories.lose_and_find, stories.spend_the_last,
    stories.keep_to_a_limit, stories.refund_at_once, stories.capture_or_void, offers.pay_with_a_pin,
    offers.guess_a_pin_at_once, offers.buy_with_an_offer, offers.load_with_a_bonus, offers.share_a_budget,
    offers.redeem_vouchers, offers.redeem_at_once, offers.earn_and_spend_points, offers.spend_points_at_once,
    lives.know_a_person, lives.bind_and_unbind, lives.keep_a_pin, lives.extend_a_card, endings.fail_a_payout,
    endings.set_closing_terms, endings.withdraw_an_end, rewards.adjust_points_by_two,
    rewards.take_the_last_benefit, rewards.exchange_with_a_partner,
    running.open_a_shop, running.allow_nothing,
]  # fmt: skip
"""What goes on without a worker, and does not take long."""

STORIES = [
    *QUICK_STORIES, stories.give_away, stories.sell_and_take_back, stories.replace_and_refund, stories.move_to_another,
    stories.produce_a_batch, stories.take_over_cards, stories.let_expire, stories.end_a_card_twice,
    offers.use_up_a_budget, offers.claim_from_a_stock, offers.let_a_voucher_end,
    lives.forget_a_person, lives.read_receipts, lives.print_and_enquire, lives.claim_a_gift_at_once,
    endings.release_what_came_back, endings.stop_a_programme, rewards.claim_by_code, rewards.claim_up_to_a_limit,
    sales.take_a_sale_back_by_two, sales.hold_a_sale_for_a_look,
    running.set_limits, running.change_terms, running.suspend_an_operator, running.make_a_rule,
    running.bind_all_campaigns, drafts.try_a_campaign, mailbox.tell_of_events,
]  # fmt: skip


class Stories:
    """Tells stories, each on a line of its own, until it is told to stop."""

    def __init__(self, office: Office, *, patient: bool) -> None:
        self.office = office
        self._known = STORIES if patient else QUICK_STORIES
        self.over: dict[str, int] = {}
        self.seen: dict[str, Mapping[str, Any]] = {}
        self.stopping = False
        self._next: list[Callable[[Member], Awaitable[None]]] = []

    async def tell(self) -> None:
        """One story after the other; each kind comes before the first one comes again."""
        office = self.office
        while not self.stopping:
            if not self._next:
                self._next = office.chance.sample(self._known, len(self._known))
            telling, chance = self._next.pop(), Random(office.chance.getrandbits(64))
            async with office.line(chance) as line:
                story = Member(office, line, chance)
                try:
                    await telling(story)
                except LostError:
                    office.report.stories["broken_off"] += 1
                except ViolationError as violation:
                    office.violated(f"{telling.__name__}: {violation}")
                    return
                else:
                    office.report.stories[telling.__name__] += 1
                    _remember(self.over, story.held)
                    _remember(self.seen, story.seen)

    async def check(self, line: Line, *, at_most: int | None = None) -> None:
        """Cards of stories that are over still have what they had, vouchers and points too."""
        held = dict(self.over)  # other stories end meanwhile, and their cards push the oldest out
        for card in self._some(held, at_most):
            found_fen = await self.office.available_fen(line, card)
            self.office.report.checks["balances_later"] += 1
            if found_fen != held[card]:
                raise ViolationError(f"{card} has {found_fen} available, its story ended with {held[card]}")
        seen = dict(self.seen)
        for path in self._some(seen, at_most):
            await check_fields(self.office, line, path, seen[path])

    def _some(self, known: Mapping[str, Any], at_most: int | None) -> list[str]:
        names = list(known)
        return names if at_most is None else self.office.chance.sample(names, min(at_most, len(names)))


def _remember(known: dict[str, Any], new: Mapping[str, Any]) -> None:
    known |= new
    for name in list(known)[: max(0, len(known) - KEPT)]:
        del known[name]
