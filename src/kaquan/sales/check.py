"""Whether a purchase may be: one function for the counter, the web, the API and orders of many cards (flow 2). Pure.

The order is that of the flow: what a card may hold, then who must be known, then with what may be paid, then the
contract, then the accounts of transfers. No figure stands here: each is asked of the rules on the day of the purchase,
and a row that nobody verified never answers but may raise an alert.

An amount that is held against a line is the greater of face and price, so that no discount brings a purchase under it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from msgspec.structs import replace

from kaquan.kit.outcomes import Outcome, Refusal
from kaquan.parties.identity import IdentityLevel
from kaquan.policy import Buyer as BuyerKind
from kaquan.policy import CardClass, Fact, Metric, Question, Rule, RuleBook, Scheme, show_demand, show_source
from kaquan.sales.outcomes import (
    CARD_CAP_EXCEEDED,
    CASH_REFUSED,
    CONTRACT_REQUIRED,
    CREDIT_CARD_REFUSED,
    REAL_NAME_REQUIRED,
    REBATE_TOO_HIGH,
    TRANSFER_ACCOUNTS_REQUIRED,
)
from kaquan.sales.types import LineFacts, PayMethod, SaleFacts, SaleKind

IDENTIFIED = IdentityLevel.DOCUMENT
"""From here on a document was shown and checked."""

_BP = 10_000


class SaleCheck(NamedTuple):
    """What the rules say: why a purchase may not be (empty: it may), why its buyer must be known, and what somebody may
    want to look at although no rule in force asks for it."""

    refusals: tuple[Refusal, ...]
    real_name: Fact | None
    alerts: tuple[Rule, ...]


class _Need(NamedTuple):
    """Why the buyer must be identified."""

    fact: Fact
    scheme: Scheme
    card_class: CardClass
    because: str
    because_zh: str


def check_sale(rules: RuleBook, facts: SaleFacts) -> SaleCheck:
    """Every reason why a purchase may not be, in the order of the flow, each with its rule and source."""
    need = _real_name_need(rules, facts)
    refusals = (
        *_check_caps(rules, facts),
        *_check_rebates(rules, facts),
        *_check_identity(rules, facts, need),
        *check_tenders(rules, facts),
        *_check_contract(rules, facts),
        *_check_accounts(rules, facts),
    )
    return SaleCheck(refusals, None if need is None else need.fact, _alerts(rules, facts))


def check_payment(rules: RuleBook, facts: SaleFacts) -> tuple[Refusal, ...]:
    """Why a purchase that was made may not be paid like this: cash, credit cards, accounts of transfers."""
    return (*check_tenders(rules, facts), *_check_accounts(rules, facts))


def first_of(refusals: tuple[Refusal, ...]) -> Refusal | None:
    """The first refusal, with the others in its detail ``also``; None when there is none."""
    if not refusals:
        return None
    first, *others = refusals
    return replace(first, details={**first.details, "also": tuple(others)}) if others else first


def amount_of(line: LineFacts) -> int:
    """What a line counts for, all its cards together."""
    return max(line.face_fen, line.price_fen) * line.card_count


def unregistered_fen(facts: SaleFacts) -> int:
    """What of a purchase buys value on unregistered cards."""
    return _amount(facts, CardClass.UNREGISTERED)


def _amount(facts: SaleFacts, card_class: CardClass | None = None) -> int:
    return sum(amount_of(line) for line in facts.lines if card_class is None or line.card_class is card_class)


def _question(facts: SaleFacts, metric: Metric, scheme: Scheme, card_class: CardClass | None = None) -> Question:
    return Question(
        metric,
        facts.jurisdiction,
        facts.on,
        scheme=scheme,
        issuer_class=facts.issuer_class,
        card_class=card_class,
        buyer=facts.buyer,
        channel=facts.channel,
    )


def _schemes(facts: SaleFacts, card_class: CardClass | None = None) -> list[Scheme]:
    """The schemes of the lines, each once, in their order."""
    return list(
        dict.fromkeys(line.scheme for line in facts.lines if card_class is None or line.card_class is card_class)
    )


def _refuse(outcome: Outcome, field: str, fact: Fact, **details: object) -> Refusal:
    demand, demand_zh = show_demand(fact.rule)
    return outcome.refuse(
        field, allowed=demand, allowed_zh=demand_zh, rule=fact.rule_id, source=show_source(fact.rule), **details
    )


def _field(facts: SaleFacts, position: int, name: str) -> str:
    return name if facts.kind is SaleKind.TOP_UP else f"lines[{position}].{name}"


def _tender_field(facts: SaleFacts, name: str) -> str:
    return f"payment.{name}" if facts.kind is SaleKind.TOP_UP else name


# --- what a card may hold


def card_cap(rules: RuleBook, facts: SaleFacts, line: LineFacts) -> Fact | None:
    """The rule on how much a card of this line may hold, if there is one."""
    return rules.ask(_question(facts, Metric.CARD_BALANCE_CAP, line.scheme, line.card_class))


def _check_caps(rules: RuleBook, facts: SaleFacts) -> Iterator[Refusal]:
    for position, line in enumerate(facts.lines):
        fact = card_cap(rules, facts, line)
        balance_fen = line.balance_fen + line.face_fen
        if fact is not None and balance_fen > fact.number:
            yield _refuse(CARD_CAP_EXCEEDED, _field(facts, position, "face_fen"), fact, balance_fen=balance_fen)


def _check_rebates(rules: RuleBook, facts: SaleFacts) -> Iterator[Refusal]:
    for position, line in enumerate(facts.lines):
        bonus_fen = line.face_fen - line.price_fen
        fact = rules.ask(_question(facts, Metric.REBATE_CAP, line.scheme, line.card_class))
        if fact is not None and bonus_fen * _BP > fact.number * line.price_fen:
            field = _field(facts, position, "price_fen")
            yield _refuse(REBATE_TOO_HIGH, field, fact, bonus_fen=bonus_fen, price_fen=line.price_fen)


# --- who must be known


def _real_name_need(rules: RuleBook, facts: SaleFacts) -> _Need | None:
    """Why the buyer must be identified: the first reason of those that hold.

    Purchases on unregistered cards that one buyer makes on one day count as one, so that no splitting helps; and an
    issuer may say after how many of them it looks anyway (``near_limit_purchases_per_day``).
    """
    for card_class in (CardClass.REGISTERED, CardClass.UNREGISTERED):
        here_fen = _amount(facts, card_class)
        before = facts.day if card_class is CardClass.UNREGISTERED else type(facts.day)()
        for scheme in _schemes(facts, card_class):
            fact = rules.ask(_question(facts, Metric.REAL_NAME_FROM, scheme, card_class))
            if fact is None:
                continue
            if here_fen >= fact.number:
                because = f"a purchase of {here_fen} fen on {card_class} cards"
                because_zh = f"本次{_ZH[card_class]} {here_fen} 分"
                return _Need(fact, scheme, card_class, because, because_zh)
            if here_fen + before.face_fen >= fact.number:
                because = f"{before.purchases} purchases of this day and this one are {here_fen + before.face_fen} fen"
                because_zh = f"当日已购 {before.purchases} 次，连同本次共 {here_fen + before.face_fen} 分"
                return _Need(fact, scheme, card_class, because, because_zh)
    for scheme in _schemes(facts, CardClass.UNREGISTERED):
        most = rules.ask(_question(facts, Metric.NEAR_LIMIT_PURCHASES_PER_DAY, scheme, CardClass.UNREGISTERED))
        if most is not None and facts.day.purchases + 1 > most.number:
            because = f"purchase number {facts.day.purchases + 1} of this day"
            because_zh = f"当日第 {facts.day.purchases + 1} 次购卡"
            return _Need(most, scheme, CardClass.UNREGISTERED, because, because_zh)
    return None


_ZH = {CardClass.REGISTERED: "记名卡购买", CardClass.UNREGISTERED: "不记名卡购买"}


def _alerts(rules: RuleBook, facts: SaleFacts) -> tuple[Rule, ...]:
    """Advisory rows on how often one buys in a day that this purchase goes beyond."""
    found = {
        rule.id: rule
        for scheme in _schemes(facts, CardClass.UNREGISTERED)
        for rule in rules.advise(_question(facts, Metric.NEAR_LIMIT_PURCHASES_PER_DAY, scheme, CardClass.UNREGISTERED))
        if isinstance(rule.value, int) and facts.day.purchases + 1 > rule.value
    }
    return tuple(found.values())


def _check_identity(rules: RuleBook, facts: SaleFacts, need: _Need | None) -> Iterator[Refusal]:
    if need is None:
        return
    if not _is_identified(facts.customer_level):
        yield _refuse(
            REAL_NAME_REQUIRED, "customer_id", need.fact,
            who="the buyer", who_zh="购卡人", because=need.because, because_zh=need.because_zh,
        )  # fmt: skip
    fact = rules.ask(_question(facts, Metric.AGENT_IDENTITY_REQUIRED, need.scheme, need.card_class))
    # an organisation always buys through somebody
    has_agent = facts.agent_level is not None or facts.buyer is BuyerKind.ORGANISATION
    if fact is not None and fact.yes and has_agent and not _is_identified(facts.agent_level):
        yield _refuse(
            REAL_NAME_REQUIRED, "agent_id", fact,
            who="the agent", who_zh="代理人", because=need.because, because_zh=need.because_zh,
        )  # fmt: skip


def _is_identified(level: IdentityLevel | None) -> bool:
    return level is not None and level.rank >= IDENTIFIED.rank


# --- with what may be paid


def check_tenders(rules: RuleBook, facts: SaleFacts) -> Iterator[Refusal]:
    """Why it may not be paid in cash or by credit card."""
    methods = {tender.method for tender in facts.tenders}
    field, amount_fen = _tender_field(facts, "method"), _amount(facts)
    if PayMethod.CASH in methods:
        asked = [Metric.CASH_REFUSED_FROM]
        if facts.kind is SaleKind.TOP_UP:
            asked.append(Metric.TOP_UP_CASH_REFUSED_FROM)
        found = [rules.ask(_question(facts, metric, scheme)) for scheme in _schemes(facts) for metric in asked]
        broken = [fact for fact in found if fact is not None and amount_fen >= fact.number]
        if broken:
            yield _refuse(CASH_REFUSED, field, min(broken, key=lambda fact: fact.number), amount_fen=amount_fen)
    if PayMethod.CREDIT_CARD in methods:
        for scheme in _schemes(facts):
            fact = rules.ask(_question(facts, Metric.CREDIT_CARD_ALLOWED, scheme))
            if fact is not None and not fact.yes:
                yield _refuse(CREDIT_CARD_REFUSED, field, fact)
                return
        if any(line.credit_card_allowed is False for line in facts.lines):
            yield CREDIT_CARD_REFUSED.refuse(
                field, rule="clauses.credit_card_allowed", source="programme terms", source_zh="卡种条款"
            )


def _check_contract(rules: RuleBook, facts: SaleFacts) -> Iterator[Refusal]:
    if facts.contract_version is not None:
        return
    for scheme in _schemes(facts):
        for metric in (Metric.CONTRACT_REQUIRED, Metric.CHARTER_REQUIRED):
            fact = rules.ask(_question(facts, metric, scheme))
            if fact is not None and fact.yes:
                yield _refuse(CONTRACT_REQUIRED, "contract_version", fact)
                return


def _check_accounts(rules: RuleBook, facts: SaleFacts) -> Iterator[Refusal]:
    if all(tender.method is not PayMethod.BANK_TRANSFER or tender.has_accounts for tender in facts.tenders):
        return
    for scheme in _schemes(facts):
        fact = rules.ask(_question(facts, Metric.TRANSFER_REGISTER_REQUIRED, scheme))
        if fact is not None and fact.yes:
            yield _refuse(TRANSFER_ACCOUNTS_REQUIRED, _tender_field(facts, "payer"), fact)
            return
