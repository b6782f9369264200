"""Rules, questions and answers, and the changes by which rules come to be."""

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from kaquan.kit.paging import DEFAULT_LIMIT
from kaquan.policy.metrics import Action, Metric, Operator, Subject, Unit


class Scheme(StrEnum):
    """The legal type of a programme."""

    SINGLE_PURPOSE = "single_purpose"
    """Taken by the issuer, its group or its brand alone."""
    MULTI_PURPOSE = "multi_purpose"
    """Taken by unrelated merchants: payment business, which needs a licence."""
    MALL = "mall"
    """Taken by the tenants of one building."""
    ONE_TIME_VOUCHER = "one_time_voucher"
    """Taken once, for goods of its value."""


class IssuerClass(StrEnum):
    """The classes of issuers of single-purpose cards (Order 9 of 2012)."""

    GROUP = "group"
    BRAND = "brand"
    SCALE = "scale"
    OTHER = "other"


class CardClass(StrEnum):
    """Whether it is known whose card it is."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"


class Buyer(StrEnum):
    """Who buys, tops up or transfers."""

    PERSON = "person"
    ORGANISATION = "organisation"


class Channel(StrEnum):
    """Where a card is sold."""

    COUNTER = "counter"
    REMOTE = "remote"


class Industry(StrEnum):
    """The trades of Order 9."""

    RETAIL = "retail"
    LODGING = "lodging"
    CATERING = "catering"
    RESIDENT_SERVICES = "resident_services"


class Condition(StrEnum):
    """Circumstances under which alone some rules bind; whoever asks says which hold."""

    UNUSED_CARD = "unused_card"
    PHYSICAL_CARD = "physical_card"
    DIGITAL_CARD = "digital_card"
    NEW_FIRM = "new_firm"
    ABOVE_WARNING_LINE = "above_warning_line"
    ABOVE_SPECIAL_LINE = "above_special_line"
    DISHONEST_DEBTOR = "dishonest_debtor"
    ABNORMAL_OPERATION = "abnormal_operation"
    DEREGISTERING = "deregistering"
    SERIOUS_RISK = "serious_risk"
    CROSS_BORDER = "cross_border"
    OPERATOR_CAUSE = "operator_cause"
    CONSUMER_CAUSE = "consumer_cause"
    CUSTODY_FUNDS = "custody_funds"
    QR_TIER_B = "qr_tier_b"
    QR_TIER_C = "qr_tier_c"
    QR_TIER_D = "qr_tier_d"
    NIGHT = "night"


class Confidence(StrEnum):
    """How well a row is known; the letters are those of the survey that the rows come from."""

    PRIMARY = "P"
    """The text of the law was read."""
    SECONDARY = "S"
    """Seen on a page about the law."""
    COMPUTED = "C"
    """Follows by computing from other rows."""
    DRAFT = "D"
    """Stands in a draft: not law."""
    MEMORY = "M"
    """Not verified: not shown as law."""
    HOUSE = "H"
    """A rule that an issuer gave itself."""

    @property
    def standing(self) -> "Standing":
        """What a row of this confidence may be shown as."""
        if self is Confidence.HOUSE:
            return Standing.HOUSE
        return Standing.ADVISORY if self in (Confidence.DRAFT, Confidence.MEMORY) else Standing.LAW


class Standing(StrEnum):
    """What a rule is shown as. Advisory rows bind nobody: no answer is ever made of them."""

    LAW = "law"
    HOUSE = "house"
    ADVISORY = "advisory"


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule applies to. Each criterion is a list of which one must be met; an empty list is met by all."""

    scheme: tuple[Scheme, ...] = ()
    issuer_class: tuple[IssuerClass, ...] = ()
    card_class: tuple[CardClass, ...] = ()
    buyer: tuple[Buyer, ...] = ()
    channel: tuple[Channel, ...] = ()
    industry: tuple[Industry, ...] = ()
    condition: tuple[Condition, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One dated row: of law, or of an issuer's house.

    ``id`` is the row's stable name; one that ends in ``.x`` is a part of the row before the dot. ``value`` is a number
    in ``unit`` (a flag: 1 is yes, 0 no), or a text where the unit is ``code`` or ``month_day``. It holds in
    ``jurisdiction`` and everything below, from the first day to the last, both included; ``effective_to`` None has no
    end yet. ``source`` names keys of ``rules/sources.csv`` for law, and the issuer's own words for a house rule.
    """

    id: str
    jurisdiction: str
    reach: Reach = Reach()
    metric: Metric
    value: int | str
    action: Action
    effective_from: date
    effective_to: date | None = None
    source: str
    confidence: Confidence
    title_zh: str
    title_en: str
    note: str = ""

    @property
    def subject(self) -> Subject:
        return self.metric.subject

    @property
    def operator(self) -> Operator:
        return self.metric.operator

    @property
    def unit(self) -> Unit:
        return self.metric.unit

    @property
    def standing(self) -> Standing:
        return self.confidence.standing

    def holds_on(self, day: date) -> bool:
        """Whether ``day`` is one of its days."""
        return self.effective_from <= day and (self.effective_to is None or day <= self.effective_to)


class Question(NamedTuple):
    """What policy is asked. What is not said (None) is not known: rules that depend on it do not answer.

    ``jurisdiction`` is the place of issue, such as CN-31; what holds in CN holds there too. ``on`` is the day in the
    issuer's time zone.
    """

    metric: Metric
    jurisdiction: str
    on: date
    scheme: Scheme | None = None
    issuer_class: IssuerClass | None = None
    card_class: CardClass | None = None
    buyer: Buyer | None = None
    channel: Channel | None = None
    industry: Industry | None = None
    conditions: frozenset[Condition] = frozenset()


class Fact(msgspec.Struct, frozen=True):
    """What binds: the strictest rule that applies, and the others that were weaker or as strict (``also``)."""

    rule: Rule
    also: tuple[Rule, ...] = ()

    @property
    def value(self) -> int | str:
        return self.rule.value

    @property
    def number(self) -> int:
        """The value of a rule that counts something. Raises TypeError for a code."""
        if not isinstance(self.rule.value, int):
            raise TypeError(f"{self.rule.metric} is a text")
        return self.rule.value

    @property
    def yes(self) -> bool:
        """The value of a flag."""
        return self.number != 0

    @property
    def rule_id(self) -> str:
        return self.rule.id


class Ending(msgspec.Struct, frozen=True):
    """The last day of a rule that is in force, or of one that is to come."""

    rule_id: str
    effective_from: date
    effective_to: date


class RuleSet(msgspec.Struct, frozen=True):
    """What a book added to the law it was given, or the house rules of an issuer, as of one version.

    ``rules`` are complete, with the ends that changes gave them; ``endings`` end rows of the law that came with the
    release, which are not repeated here.
    """

    book_id: int
    issuer_id: UUID | None
    version: int
    rules: tuple[Rule, ...] = ()
    endings: tuple[Ending, ...] = ()


class NewChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is proposed: rules to add and to end, of an issuer, or of the book's law when ``issuer_id`` is None."""

    issuer_id: UUID | None
    note: str
    add: tuple[Rule, ...] = ()
    end: tuple[Ending, ...] = ()


class Decision(StrEnum):
    """What became of a proposal."""

    APPROVED = "approved"
    REJECTED = "rejected"


class ChangeStatus(StrEnum):
    """Where a change is."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


class Change(msgspec.Struct, frozen=True):
    """A change of rules as it is kept. ``version`` is that of the rule set which it made, when approved."""

    id: UUID
    book_id: int
    issuer_id: UUID | None
    note: str
    add: tuple[Rule, ...]
    end: tuple[Ending, ...]
    proposed_by: UUID
    proposed_at: datetime
    decision: Decision | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    reason: str | None = None
    version: int | None = None

    @property
    def status(self) -> ChangeStatus:
        return ChangeStatus.PROPOSED if self.decision is None else ChangeStatus(self.decision.value)


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of changes is narrowed to; None does not narrow. Newest first, beginning after ``after_id``."""

    limit: int = DEFAULT_LIMIT
    after_id: UUID | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    issuer_id: UUID | None = None
    status: ChangeStatus | None = None
