"""Points: earned by purchases, kept in the ledger, spent as tender, taken back by refunds.

Points are the currency ``PTS`` of the ledger, in lots, in accounts of their own that belong to a card's *member*
(:func:`member_id`, in the card's slot): ``points`` can be spent, ``points_pending`` waits until the goods can no
longer be brought back, ``points_debt`` is what a refund should have taken and was spent already. How a programme
gives and takes them are its :class:`PointsTerms`, in versions. This room never posts a purchase: payments composes,
as follows.

What payments calls, all pure but for the reads and writes:

* Facts of a batch of one slot: ``read_members(connection, book_id=, slot=, ids=[member_id(card) …])`` gives members
with their accounts and lots; for cards that are none yet, ``open_members`` first (member, card, programme, issuer). The
  issuer's accounts: ``open_issuer_accounts``. Terms: ``load_all_terms`` for the copy in memory and ``terms_at`` for the
  version in force.
* A purchase: ``earned = price_points(terms, Bought(…lines with what money paid for each…))``, then ``plan_earning(…)``
  gives a :class:`PointsMove` (legs, guards and lots to be added to the posting) and the :class:`Earning`, which
  ``keep_earnings`` writes in the same commit. No call is made for loads and sales of cards: they earn nothing.
* Points as tender: ``quote_tender`` says the most that may be paid, ``plan_tender`` gives a :class:`Tender` or a
  refusal. Its ``amount_fen`` lowers what the card pays; the money leg, from the issuer's account of expenses to
  whoever is paid, is payments' own. Keep ``parts`` for refunds. What points paid earns nothing: leave it out of the
  lines.
* A refund: ``read_earnings``, ``plan_clawback(terms of the earning's version, earning, {line: fen}, …)``; add its move,
take ``from_refund_fen`` from the money, and call ``change_earning(connection, earning, clawback.after)`` in the same
commit (False: stale, plan again). Points that paid come back into the lots that they came from. Of several moves in one
posting each is decided on the member as the ones before leave it: ``after_move``.
* An authorization sets a tender's lots aside (``RESERVE``); a capture captures a part of them, and earns as a purchase.
* Offers: what they give is named as ``gifts`` of ``plan_earning``, and what comes back of it of ``plan_clawback``, by
the account ``points_offered`` of whoever pays for it.

A move without legs adds nothing.
"""

from kaquan.points.deeds import (
    RenderDeed,
    adjust_points,
    check_benefit,
    exchange_in,
    exchange_out,
    exchange_points,
    list_deeds,
    take_benefit,
)
from kaquan.points.jobs import expire_points, follow_replacements, mature_points, remind_of_points, renew_tiers
from kaquan.points.members import find_member, get_standing, member_id, standing_of
from kaquan.points.offers import (
    create_benefit,
    create_partner,
    get_benefit,
    list_benefits,
    list_partners,
)
from kaquan.points.plan import (
    NO_MOVE,
    Ends,
    after_move,
    guard,
    plan_clawback,
    plan_earning,
    plan_tender,
    plan_tender_return,
    quote_tender,
    spendable,
)
from kaquan.points.price import NOTHING_EARNED, assess_tier, check_terms, price_points
from kaquan.points.report import PointsLiability, report_points
from kaquan.points.store import (
    change_earning,
    keep_earnings,
    open_issuer_accounts,
    open_members,
    read_earnings,
    read_members,
)
from kaquan.points.terms import asks_birthday, list_terms, load_all_terms, set_terms, terms_at
from kaquan.points.types import (
    CURRENCY,
    OFFERED,
    Account,
    AccountKind,
    Benefit,
    Bought,
    BoughtLine,
    Clawback,
    ClawbackMode,
    Deed,
    DeedKind,
    Earned,
    Earning,
    EarningRule,
    IssuerAccounts,
    LinePoints,
    Lot,
    Member,
    Multiplier,
    NewBenefit,
    NewPartner,
    Partner,
    PointsMove,
    PointsTerms,
    Rounding,
    Search,
    Standing,
    Tender,
    TermsVersion,
    TierMetric,
    TierRule,
)

__all__ = [
    "CURRENCY",
    "NOTHING_EARNED",
    "NO_MOVE",
    "OFFERED",
    "Account",
    "AccountKind",
    "Benefit",
    "Bought",
    "BoughtLine",
    "Clawback",
    "ClawbackMode",
    "Deed",
    "DeedKind",
    "Earned",
    "Earning",
    "EarningRule",
    "Ends",
    "IssuerAccounts",
    "LinePoints",
    "Lot",
    "Member",
    "Multiplier",
    "NewBenefit",
    "NewPartner",
    "Partner",
    "PointsLiability",
    "PointsMove",
    "PointsTerms",
    "RenderDeed",
    "Rounding",
    "Search",
    "Standing",
    "Tender",
    "TermsVersion",
    "TierMetric",
    "TierRule",
    "adjust_points",
    "after_move",
    "asks_birthday",
    "assess_tier",
    "change_earning",
    "check_benefit",
    "check_terms",
    "create_benefit",
    "create_partner",
    "exchange_in",
    "exchange_out",
    "exchange_points",
    "expire_points",
    "find_member",
    "follow_replacements",
    "get_benefit",
    "get_standing",
    "guard",
    "keep_earnings",
    "list_benefits",
    "list_deeds",
    "list_partners",
    "list_terms",
    "load_all_terms",
    "mature_points",
    "member_id",
    "open_issuer_accounts",
    "open_members",
    "plan_clawback",
    "plan_earning",
    "plan_tender",
    "plan_tender_return",
    "price_points",
    "quote_tender",
    "read_earnings",
    "read_members",
    "remind_of_points",
    "renew_tiers",
    "report_points",
    "set_terms",
    "spendable",
    "standing_of",
    "take_benefit",
    "terms_at",
]
