"""What the rules are asked about a purchase: the facts of a line, and for how long its register is kept."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from kaquan.cards import Card, Programme, jurisdiction_of, scheme_of
from kaquan.cards import CardClass as CardKind
from kaquan.parties import Issuer
from kaquan.policy import CardClass, Fact, IssuerClass, Metric, Question, RuleBook, Scheme
from kaquan.sales.types import LineFacts, Sale, SaleFacts

_KEPT = (Metric.PURCHASER_RECORD_YEARS, Metric.CUSTOMER_RECORD_YEARS, Metric.TRANSACTION_RECORD_YEARS)


def scheme_sold(issuer: Issuer, programme: Programme) -> Scheme:
    """The scheme that a programme's cards are judged by when they are sold.

    One that has not declared how it is run is taken for what its issuer may do: with a payment licence, multi-purpose.
    """
    licensed = issuer.payment_licence is not None
    declared = scheme_of(programme.operating_mode, licensed=licensed)
    return declared or (Scheme.MULTI_PURPOSE if licensed else Scheme.SINGLE_PURPOSE)


def line_facts(
    issuer: Issuer,
    programme: Programme,
    *,
    card_count: int,
    face_fen: int,
    price_fen: int,
    card: Card | None = None,
    balance_fen: int = 0,
) -> LineFacts:
    """A line as the rules look at it. A card that is bound to somebody is registered, whatever its programme says."""
    registered = programme.card_class is CardKind.REGISTERED or (card is not None and card.customer_id is not None)
    return LineFacts(
        scheme_sold(issuer, programme),
        CardClass.REGISTERED if registered else CardClass.UNREGISTERED,
        card_count,
        face_fen,
        price_fen,
        balance_fen,
        programme.clauses.credit_card_allowed,
    )


def issuer_class_of(issuer: Issuer) -> IssuerClass | None:
    """The class of an issuer, as rules have it."""
    return None if issuer.issuer_class is None else IssuerClass(issuer.issuer_class.value)


def place_of(issuer: Issuer) -> str:
    """Where it issues."""
    return jurisdiction_of(issuer)


def day_in(at: datetime, time_zone: str) -> tuple[date, datetime, datetime]:
    """The day that a moment is part of in a time zone, with its beginning and its end."""
    zone = ZoneInfo(time_zone)
    day = at.astimezone(zone).date()
    begins = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = date.fromordinal(day.toordinal() + 1)
    return day, begins, datetime(after.year, after.month, after.day, tzinfo=zone)


def refund_approval(rules: RuleBook, issuer: Issuer, sale: Sale, *, at: datetime) -> Fact | None:
    """The rule by which two people take this sale back; None: one may."""
    question = Question(
        Metric.SALE_REFUND_APPROVAL_FROM,
        place_of(issuer),
        day_in(at, issuer.time_zone)[0],
        issuer_class=issuer_class_of(issuer),
        buyer=sale.buyer,
        channel=sale.channel,
    )
    fact = rules.ask(question)
    return fact if fact is not None and sale.price_fen >= fact.number else None


def keep_until(rules: RuleBook, facts: SaleFacts, *, at: datetime) -> datetime | None:
    """Until when what is personal of a purchase is kept: the longest that any rule of its day asks for; None: none."""
    years = [
        fact.number
        for scheme in {line.scheme for line in facts.lines}
        for metric in _KEPT
        if (
            fact := rules.ask(
                Question(
                    metric,
                    facts.jurisdiction,
                    facts.on,
                    scheme=scheme,
                    issuer_class=facts.issuer_class,
                    buyer=facts.buyer,
                    channel=facts.channel,
                )
            )
        )
        is not None
    ]
    if not years:
        return None
    year = at.year + max(years)
    try:
        return at.replace(year=year)
    except ValueError:  # 29 February has no anniversary: not a day too few
        return at.replace(year=year, month=3, day=1)
