"""``/v1/policy``: rules of law and of the house, what they say, and how they change."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Controller, get, post
from litestar.response import Response
from msgspec import Meta

from kaquan import parties, policy
from kaquan.doors.http.answers import answer, answer_page
from kaquan.doors.http.fields import Cursor, IssuerId, PolicyChangeId, uuid_of
from kaquan.doors.http.operation import operation
from kaquan.doors.http.paging import ListQuery, after_id
from kaquan.doors.http.problems import RefusedError, problem_response
from kaquan.doors.http.reading import read_body, read_path, read_query
from kaquan.doors.http.request import ApiRequest, app_of
from kaquan.kit.ids import Prefix, show_id, uuid_from
from kaquan.kit.outcomes import BUSY, INVALID_FIELD, NOT_FOUND, Refusal
from kaquan.kit.paging import DEFAULT_LIMIT, MAX_LIMIT, Page, read_cursor, show_cursor
from kaquan.parties import Scope, keys_of_person
from kaquan.policy import (
    CRITERIA,
    LAW_TIME_ZONE,
    MAX_RULES,
    RECORDS,
    Action,
    Buyer,
    CardClass,
    Change,
    ChangeStatus,
    Channel,
    Condition,
    Confidence,
    Ending,
    Fact,
    FileFormat,
    Industry,
    IssuerClass,
    LineProblem,
    Metric,
    NewChange,
    Operator,
    Question,
    Rule,
    RuleBook,
    RuleSet,
    Scheme,
    Search,
    Standing,
    Subject,
    Terms,
    Unit,
    chain_of,
    read_jurisdiction,
    read_rule,
    read_source,
    retention_table,
    show_demand,
    show_raw,
)
from kaquan.policy.outcomes import (
    CHANGE_ALREADY_DECIDED,
    HOUSE_RULE_WEAKER_THAN_LAW,
    RULE_FILE_INVALID,
    RULE_IN_THE_PAST,
    RULES_OVERLAP,
    SECOND_PERSON_REQUIRED,
    UNKNOWN_RULE,
)

if TYPE_CHECKING:
    from kaquan.app import App

_REFUSED_CHANGES = [
    NOT_FOUND,
    HOUSE_RULE_WEAKER_THAN_LAW,
    RULE_IN_THE_PAST,
    RULES_OVERLAP,
    UNKNOWN_RULE,
]


def _words(longest: int) -> Meta:
    return Meta(
        pattern=rf"^[^\x00-\x1f\x7f]{{1,{longest}}}$(?!\n)",
        description=f"1 to {longest} characters, no control characters",
        extra={"zh": f"1 到 {longest} 个字符，不含控制字符"},
    )


RuleId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*(\.[a-z0-9]+)?$(?!\n)",
        max_length=48,
        description="an id of a rule, such as CN-SP-CAP-01",
        extra={"zh": "规则编号，例如 CN-SP-CAP-01"},
    ),
]
Jurisdiction = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,4}){0,2}$(?!\n)",
        description="a country or a province, such as CN, CN-31 or CN-SH",
        extra={"zh": "国家或省级代码，例如 CN、CN-31、CN-SH"},
    ),
]
Conditions = Annotated[
    str,
    Meta(
        pattern=r"^[a-z_]+(,[a-z_]+)*$(?!\n)",
        max_length=400,
        description="circumstances that hold, with commas between them, such as unused_card,new_firm",
        extra={"zh": "成立的情形，以逗号分隔，例如 unused_card,new_firm"},
    ),
]
Words = Annotated[str, _words(500)]
Note = Annotated[str, _words(500)]
Number = Annotated[int, Meta(ge=0, le=10**15)]
FileText = Annotated[
    str, Meta(min_length=1, max_length=16_777_216, description="the text of a file", extra={"zh": "文件内容"})
]


# --- rules and facts


class SourceView(msgspec.Struct, frozen=True):
    """A text that a row of law was read in. ``article`` is null where the row names none."""

    key: str
    title: str
    where: str
    article: str | None


class RuleView(msgspec.Struct, frozen=True):
    """One dated row. ``standing`` is what it may be shown as: an ``advisory`` row is no law and binds nobody.

    A criterion is a list of which one must be met; an empty list is met by all. ``value`` is a number in ``unit``, a
    code, or ``yes`` and ``no`` where the unit is ``flag``; ``demand`` says the same to a person. ``source`` names keys
    of ``sources``, or is a house rule's own words. ``confidence``: P the law was read, S seen on a page about it, C
    computed, D a draft, M not verified, H a house rule.
    """

    id: str
    standing: Standing
    jurisdiction: str
    scheme: list[Scheme]
    issuer_class: list[IssuerClass]
    card_class: list[CardClass]
    buyer: list[Buyer]
    channel: list[Channel]
    industry: list[Industry]
    condition: list[Condition]
    subject: Subject
    metric: Metric
    operator: Operator
    value: int | str
    unit: Unit
    demand: str
    demand_zh: str
    action: Action
    effective_from: date
    effective_to: date | None
    source: str
    sources: list[SourceView]
    confidence: Confidence
    title_zh: str
    title_en: str
    note: str


class RuleQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``jurisdiction`` finds what holds there, hence also the rows above it; ``on`` what holds on that day.

    With ``issuer_id`` the issuer's house rules are among the rules.
    """

    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: Cursor | None = None
    id: RuleId | None = None
    subject: Subject | None = None
    metric: Metric | None = None
    jurisdiction: Jurisdiction | None = None
    standing: Standing | None = None
    on: date | None = None
    issuer_id: IssuerId | None = None


class FactQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not said is not known: rules that depend on it do not answer.

    ``on`` is today without it, in the zone of the issuer, and Asia/Shanghai without one.
    """

    metric: Metric
    jurisdiction: Jurisdiction
    on: date | None = None
    issuer_id: IssuerId | None = None
    scheme: Scheme | None = None
    issuer_class: IssuerClass | None = None
    card_class: CardClass | None = None
    buyer: Buyer | None = None
    channel: Channel | None = None
    industry: Industry | None = None
    condition: Conditions | None = None


class RetentionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As for a fact: what is not said is not known, and what depends on it does not answer."""

    jurisdiction: Jurisdiction
    on: date | None = None
    issuer_id: IssuerId | None = None
    scheme: Scheme | None = None
    issuer_class: IssuerClass | None = None
    card_class: CardClass | None = None
    channel: Channel | None = None


class FactView(msgspec.Struct, frozen=True):
    """``fact`` is the strictest rule that binds, null where none says anything; ``also`` are the others that bind.

    ``advisory`` rows would apply if they were law; they are not.
    """

    metric: Metric
    jurisdiction: str
    on: date
    fact: RuleView | None
    also: list[RuleView]
    advisory: list[RuleView]


class MetricView(msgspec.Struct, frozen=True):
    """``operator`` tells which of two values is the stricter one."""

    metric: Metric
    subject: Subject
    operator: Operator
    unit: Unit
    en: str
    zh: str


def show_rule(rule: Rule) -> RuleView:
    demand, demand_zh = show_demand(rule)
    reach = rule.reach
    return RuleView(
        id=rule.id,
        standing=rule.standing,
        jurisdiction=rule.jurisdiction,
        scheme=list(reach.scheme),
        issuer_class=list(reach.issuer_class),
        card_class=list(reach.card_class),
        buyer=list(reach.buyer),
        channel=list(reach.channel),
        industry=list(reach.industry),
        condition=list(reach.condition),
        subject=rule.subject,
        metric=rule.metric,
        operator=rule.operator,
        value=show_raw(rule.metric, rule.value),
        unit=rule.unit,
        demand=demand,
        demand_zh=demand_zh,
        action=rule.action,
        effective_from=rule.effective_from,
        effective_to=rule.effective_to,
        source=rule.source,
        sources=[
            SourceView(source.key, source.title, source.where, source.article or None)
            for source in read_source(rule.source) or ()
        ],
        confidence=rule.confidence,
        title_zh=rule.title_zh,
        title_en=rule.title_en,
        note=rule.note,
    )


def show_fact(rules: RuleBook, question: Question, fact: Fact | None) -> FactView:
    return FactView(
        metric=question.metric,
        jurisdiction=question.jurisdiction,
        on=question.on,
        fact=None if fact is None else show_rule(fact.rule),
        also=[] if fact is None else [show_rule(rule) for rule in fact.also],
        advisory=[show_rule(rule) for rule in rules.advise(question)],
    )


def show_metric(metric: Metric) -> MetricView:
    return MetricView(metric, metric.subject, metric.operator, metric.unit, metric.en, metric.zh)


# --- changes


class RuleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule to add. ``confidence`` belongs to rows of law (P, S, C, D, M); a house rule has none."""

    id: RuleId
    jurisdiction: Jurisdiction
    scheme: list[Scheme] = []
    issuer_class: list[IssuerClass] = []
    card_class: list[CardClass] = []
    buyer: list[Buyer] = []
    channel: list[Channel] = []
    industry: list[Industry] = []
    condition: list[Condition] = []
    metric: Metric
    value: Number | Words
    action: Action
    effective_from: date
    effective_to: date | None = None
    source: Words
    confidence: Confidence | None = None
    title_zh: Words
    title_en: Words
    note: Words | None = None


class EndingFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule ``rule_id`` that begins on ``effective_from`` shall end with the day ``effective_to``."""

    rule_id: RuleId
    effective_from: date
    effective_to: date


class ChangeFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """House rules of ``issuer_id``; without it, the law as this book has it. ``end`` is done before ``add``."""

    issuer_id: IssuerId | None = None
    note: Note
    add: Annotated[list[RuleFields], Meta(max_length=MAX_RULES)] = []
    end: Annotated[list[EndingFields], Meta(max_length=MAX_RULES)] = []


class RuleFileFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file of rules as text; ``content`` in the form ``format``."""

    issuer_id: IssuerId | None = None
    format: FileFormat
    content: FileText


class ImportFields(RuleFileFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    note: Note


class DecisionFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Note


class LineView(msgspec.Struct, frozen=True):
    """What is wrong in a line: of CSV as an editor counts, the header being 1; of JSON the item, from 1."""

    line: int
    field: str | None
    code: str
    detail: str
    detail_zh: str


class FileReport(msgspec.Struct, frozen=True):
    """``rule_count`` rules could be read; with no ``problems`` the file can be imported."""

    rule_count: int
    problems: list[LineView]


class EndingView(msgspec.Struct, frozen=True):
    rule_id: str
    effective_from: date
    effective_to: date


class PolicyChangeView(msgspec.Struct, frozen=True):
    """``version`` is that of the rule set which an approved change made; its evidence leaf carries the change's id."""

    id: PolicyChangeId
    issuer_id: IssuerId | None
    status: ChangeStatus
    note: str
    add: list[RuleView]
    end: list[EndingView]
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    version: int | None


class ChangeQuery(ListQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    issuer_id: IssuerId | None = None
    status: ChangeStatus | None = None


class RuleSetQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without ``issuer_id`` what the book changed of the law; without ``version`` as it is now."""

    issuer_id: IssuerId | None = None
    version: Annotated[int, Meta(ge=0, le=2**53)] | None = None


class RuleSetView(msgspec.Struct, frozen=True):
    """``endings`` end rows of the law that came with the release."""

    issuer_id: IssuerId | None
    version: int
    rules: list[RuleView]
    endings: list[EndingView]


def _show_ending(ending: Ending) -> EndingView:
    return EndingView(ending.rule_id, ending.effective_from, ending.effective_to)


def _show_issuer(issuer_id: UUID | None) -> str | None:
    return None if issuer_id is None else show_id(Prefix.ISSUER, issuer_id)


def show_change(change: Change) -> PolicyChangeView:
    return PolicyChangeView(
        id=show_id(Prefix.POLICY_CHANGE, change.id),
        issuer_id=_show_issuer(change.issuer_id),
        status=change.status,
        note=change.note,
        add=[show_rule(rule) for rule in change.add],
        end=[_show_ending(ending) for ending in change.end],
        proposed_by=show_id(Prefix.KEY, change.proposed_by),
        proposed_at=change.proposed_at,
        decided_by=None if change.decided_by is None else show_id(Prefix.KEY, change.decided_by),
        decided_at=change.decided_at,
        reason=change.reason,
        version=change.version,
    )


def show_rule_set(found: RuleSet) -> RuleSetView:
    return RuleSetView(
        issuer_id=_show_issuer(found.issuer_id),
        version=found.version,
        rules=[show_rule(rule) for rule in found.rules],
        endings=[_show_ending(ending) for ending in found.endings],
    )


def show_line(problem: LineProblem) -> LineView:
    refusal = problem.refusal
    return LineView(problem.line, refusal.field, refusal.code, refusal.message("en"), refusal.message("zh"))


# --- terms


class TermsFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a programme promises and demands; what is left out is not looked at.

    But ``cap_fen`` left out means that a card may hold any amount, and ``validity_days`` that it never expires.
    """

    issuer_id: IssuerId | None = None
    jurisdiction: Jurisdiction
    on: date | None = None
    scheme: Scheme
    issuer_class: IssuerClass | None = None
    industry: Industry | None = None
    card_class: CardClass
    conditions: list[Condition] = []
    cap_fen: Number | None = None
    denominations_fen: Annotated[list[Number], Meta(max_length=200)] = []
    validity_days: Number | None = None
    custody_share_bp: Number | None = None
    guarantee_share_bp: Number | None = None
    cooling_off_days: Number | None = None
    cooling_off_refund_due_days: Number | None = None
    refund_due_days: Number | None = None
    cash_refund_cap_fen: Number | None = None
    closing_notice_days: Number | None = None
    terms_change_notice_days: Number | None = None
    fee_change_notice_days: Number | None = None
    replacement_fee_fen: Number | None = None
    issue_fee_fen: Number | None = None
    load_fee_fen: Number | None = None
    dormancy_fee_fen: Number | None = None
    dormancy_fee_after_months: Number | None = None
    rebate_cap_bp: Number | None = None
    voucher_validity_max_days: Number | None = None
    lottery_prize_cap_fen: Number | None = None
    loss_report_required: bool | None = None
    overdraft_allowed: bool | None = None
    credit_card_allowed: bool | None = None
    forfeit_at_expiry_allowed: bool | None = None
    no_refund_clause_allowed: bool | None = None
    transfer_ban_allowed: bool | None = None
    replacement_exclusion_allowed: bool | None = None
    unilateral_change_allowed: bool | None = None
    interest_to_holders_allowed: bool | None = None


class BrokenTermView(msgspec.Struct, frozen=True):
    """A term that a rule does not allow; ``rule`` is the rule's id and ``source`` where it stands."""

    field: str
    rule: str
    source: str
    detail: str
    detail_zh: str


class TermsReport(msgspec.Struct, frozen=True):
    """With no ``broken`` term the terms may stand."""

    on: date
    broken: list[BrokenTermView]


def show_broken(refusal: Refusal) -> BrokenTermView:
    return BrokenTermView(
        refusal.field or "",
        refusal.details["rule"],
        refusal.details["source"],
        refusal.message("en"),
        refusal.message("zh"),
    )


# --- what the handlers share


def _jurisdiction(text: str) -> str:
    """A jurisdiction as rules have it. Raises RefusedError."""
    found = read_jurisdiction(text)
    if found is None:
        raise RefusedError(
            INVALID_FIELD.refuse(
                "jurisdiction",
                allowed="must be a country or a province, such as CN, CN-31 or CN-SH",
                allowed_zh="应为国家或省级代码，例如 CN、CN-31、CN-SH",
            )
        )
    return found


def _conditions(text: str | None) -> frozenset[Condition]:
    """The conditions of a query. Raises RefusedError."""
    try:
        return frozenset(Condition(part) for part in text.split(",")) if text else frozenset()
    except ValueError:
        names = ", ".join(Condition)
        raise RefusedError(
            INVALID_FIELD.refuse("condition", allowed=f"must be of: {names}", allowed_zh=f"应为以下取值：{names}")
        ) from None


async def _issuer(app: "App", book_id: int, issuer_id: UUID | None) -> tuple[UUID | None, date]:
    """The issuer and the day that it is there; without an issuer the day of the law. Raises RefusedError."""
    zone = LAW_TIME_ZONE
    if issuer_id is not None:
        found = await parties.get_issuer(app.pool, book_id=book_id, id_=issuer_id)
        if isinstance(found, Refusal):
            raise RefusedError(NOT_FOUND.refuse("issuer_id", what="issuer"))
        zone = found.time_zone
    return issuer_id, app.clock.now().astimezone(ZoneInfo(zone)).date()


async def _asked_issuer(app: "App", book_id: int, public_id: str | None) -> tuple[UUID | None, date]:
    return await _issuer(app, book_id, None if public_id is None else uuid_of(public_id))


def _read_rules(fields: list[RuleFields], issuer_id: UUID | None) -> tuple[Rule, ...]:
    """The rules of a request. Raises RefusedError for the first that is wrong."""
    standing = Standing.LAW if issuer_id is None else Standing.HOUSE
    rules = []
    for position, asked in enumerate(fields):
        read = read_rule(_cells(asked), standing=standing)
        if not isinstance(read, Rule):
            first = read[0]
            raise RefusedError(Refusal(first.outcome, f"add[{position}].{first.field}", first.details))
        rules.append(read)
    return tuple(rules)


def _cells(asked: RuleFields) -> dict[str, str]:
    """A rule as the line of a file, so that both doors read rules alike."""
    fields = msgspec.structs.asdict(asked)
    cells = {name: "|".join(fields.pop(name)) for name in CRITERIA}
    return cells | {name: "" if value is None else str(value) for name, value in fields.items()}


class PolicyController(Controller):
    path = "/v1/policy"
    tags = ("policy",)

    @get("/rules", **operation(Scope.POLICY_READ, query=RuleQuery, answer=Page[RuleView], refusals=[NOT_FOUND]))
    async def list_rules(self, request: ApiRequest) -> Response[bytes]:
        """List rules by id, with their sources; advisory ones are marked."""
        query = read_query(request, RuleQuery)
        app = app_of(request)
        issuer_id, _ = await _asked_issuer(app, request.user.book_id, query.issuer_id)
        places = chain_of(_jurisdiction(query.jurisdiction)) if query.jurisdiction else None
        found = [
            rule
            for rule in app.policy.rules(request.user.book_id, issuer_id).rules
            if (query.id is None or rule.id == query.id)
            and (query.subject is None or rule.subject is query.subject)
            and (query.metric is None or rule.metric is query.metric)
            and (query.standing is None or rule.standing is query.standing)
            and (query.on is None or rule.holds_on(query.on))
            and (places is None or rule.jurisdiction in places)
        ]
        # rules have no time of their own: a cursor is a place in the list
        after = read_cursor(query.cursor) if query.cursor else None
        begin = 0 if after is None else after.int
        end = begin + query.limit
        cursor = show_cursor(uuid_from(end)) if end < len(found) else None
        return answer_page(Page(found[begin:end], cursor), show_rule)

    @get("/facts", **operation(Scope.POLICY_READ, query=FactQuery, answer=FactView, refusals=[NOT_FOUND]))
    async def ask_policy(self, request: ApiRequest) -> Response[bytes]:
        """Ask which rule binds, at a place, on a day, for a kind of issuer, card and buyer."""
        query = read_query(request, FactQuery)
        app = app_of(request)
        issuer_id, today = await _asked_issuer(app, request.user.book_id, query.issuer_id)
        question = Question(
            query.metric,
            _jurisdiction(query.jurisdiction),
            query.on or today,
            scheme=query.scheme,
            issuer_class=query.issuer_class,
            card_class=query.card_class,
            buyer=query.buyer,
            channel=query.channel,
            industry=query.industry,
            conditions=_conditions(query.condition),
        )
        rules = app.policy.rules(request.user.book_id, issuer_id)
        fact: Fact | None = rules.ask(question)
        return answer(show_fact(rules, question, fact), lambda shown: shown)

    @get(
        "/retention",
        **operation(Scope.POLICY_READ, query=RetentionQuery, answer=Page[FactView], refusals=[NOT_FOUND]),
    )
    async def get_retention_table(self, request: ApiRequest) -> Response[bytes]:
        """List for how long each kind of record is kept, with the rule and its source."""
        query = read_query(request, RetentionQuery)
        app = app_of(request)
        issuer_id, today = await _asked_issuer(app, request.user.book_id, query.issuer_id)
        question = Question(
            RECORDS[0],
            _jurisdiction(query.jurisdiction),
            query.on or today,
            scheme=query.scheme,
            issuer_class=query.issuer_class,
            card_class=query.card_class,
            channel=query.channel,
        )
        rules = app.policy.rules(request.user.book_id, issuer_id)
        rows = [show_fact(rules, asked, fact) for asked, fact in retention_table(rules, question)]
        return answer_page(Page(rows), lambda shown: shown)

    @get("/metrics", **operation(Scope.POLICY_READ, answer=Page[MetricView]))
    async def list_policy_metrics(self, request: ApiRequest) -> Response[bytes]:
        """List everything that policy can be asked."""
        return answer_page(Page(list(Metric)), show_metric)

    @post("/terms/check", **operation(Scope.POLICY_READ, body=TermsFields, answer=TermsReport, refusals=[NOT_FOUND]))
    async def check_terms(self, request: ApiRequest) -> Response[bytes]:
        """Check a programme's terms: every one that breaks a rule, with the rule and its source."""
        asked = await read_body(request, TermsFields)
        app = app_of(request)
        issuer_id, today = await _asked_issuer(app, request.user.book_id, asked.issuer_id)
        fields = msgspec.structs.asdict(asked)
        del fields["issuer_id"]
        terms = Terms(
            **{
                **fields,
                "jurisdiction": _jurisdiction(asked.jurisdiction),
                "on": asked.on or today,
                "conditions": frozenset(asked.conditions),
                "denominations_fen": tuple(asked.denominations_fen),
            }
        )
        broken = policy.check_terms(app.policy.rules(request.user.book_id, issuer_id), terms)
        return answer(TermsReport(terms.on, [show_broken(refusal) for refusal in broken]), lambda shown: shown)

    @get("/rule-sets", **operation(Scope.POLICY_READ, query=RuleSetQuery, answer=RuleSetView, refusals=[NOT_FOUND]))
    async def get_rule_set(self, request: ApiRequest) -> Response[bytes]:
        """Get the house rules of an issuer, or what the book changed of the law, as of any version."""
        query = read_query(request, RuleSetQuery)
        app, book_id = app_of(request), request.user.book_id
        issuer_id, _ = await _asked_issuer(app, book_id, query.issuer_id)
        found = await policy.get_rule_set(app.pool, book_id=book_id, issuer_id=issuer_id, version=query.version)
        return answer(found, show_rule_set)

    @post(
        "/changes",
        **operation(
            Scope.POLICY_WRITE, body=ChangeFields, answer=PolicyChangeView, status=201, refusals=_REFUSED_CHANGES
        ),
    )
    async def propose_change(self, request: ApiRequest) -> Response[bytes]:
        """Propose a change of rules; nothing changes before a second key approves it."""
        asked = await read_body(request, ChangeFields)
        app, book_id = app_of(request), request.user.book_id
        issuer_id, today = await _asked_issuer(app, book_id, asked.issuer_id)
        new = NewChange(
            issuer_id=issuer_id,
            note=asked.note,
            add=_read_rules(asked.add, issuer_id),
            end=tuple(Ending(end.rule_id, end.effective_from, end.effective_to) for end in asked.end),
        )
        made = await policy.propose_change(
            app.pool, app.clock, app.ids, book_id=book_id, actor_id=request.user.key_id, today=today, new=new
        )
        return answer(made, show_change, status=201)

    @get("/changes", **operation(Scope.POLICY_READ, query=ChangeQuery, answer=Page[PolicyChangeView]))
    async def list_policy_changes(self, request: ApiRequest) -> Response[bytes]:
        """List changes of rules, the newest first."""
        query = read_query(request, ChangeQuery)
        search = Search(
            limit=query.limit,
            after_id=after_id(query),
            created_after=query.created_after,
            created_before=query.created_before,
            issuer_id=uuid_of(query.issuer_id) if query.issuer_id else None,
            status=query.status,
        )
        page = await policy.list_changes(app_of(request).pool, book_id=request.user.book_id, search=search)
        return answer_page(page, show_change)

    @get(
        "/changes/{id:str}",
        **operation(Scope.POLICY_READ, path={"id": PolicyChangeId}, answer=PolicyChangeView, refusals=[NOT_FOUND]),
    )
    async def get_policy_change(self, request: ApiRequest) -> Response[bytes]:
        """Get a change of rules."""
        change_id = uuid_of(read_path(request, PolicyChangeId))
        found = await policy.get_change(app_of(request).pool, book_id=request.user.book_id, change_id=change_id)
        return answer(found, show_change)

    @post(
        "/changes/{id:str}/approve",
        **operation(
            Scope.POLICY_APPROVE,
            path={"id": PolicyChangeId},
            body=DecisionFields,
            answer=PolicyChangeView,
            refusals=[*_REFUSED_CHANGES, CHANGE_ALREADY_DECIDED, SECOND_PERSON_REQUIRED, BUSY],
        ),
    )
    async def approve_policy_change(self, request: ApiRequest) -> Response[bytes]:
        """Approve a change that another person proposed; its rules hold on their days, and a leaf is evidence of it."""
        change_id = uuid_of(read_path(request, PolicyChangeId))
        asked = await read_body(request, DecisionFields)
        app, book_id = app_of(request), request.user.book_id
        found = await policy.get_change(app.pool, book_id=book_id, change_id=change_id)
        if isinstance(found, Refusal):
            return problem_response(found)
        _, today = await _issuer(app, book_id, found.issuer_id)
        approved = await policy.approve_change(
            app.pool,
            app.clock,
            book_id=book_id,
            change_id=change_id,
            actor_id=request.user.key_id,
            today=today,
            reason=asked.reason,
            slots=app.slots,
            own_keys=await keys_of_person(app.pool, book_id=book_id, key_id=request.user.key_id),
        )
        await app.policy.refresh()
        return answer(approved, show_change)

    @post(
        "/changes/{id:str}/reject",
        **operation(
            Scope.POLICY_APPROVE,
            path={"id": PolicyChangeId},
            body=DecisionFields,
            answer=PolicyChangeView,
            refusals=[NOT_FOUND, CHANGE_ALREADY_DECIDED],
        ),
    )
    async def reject_policy_change(self, request: ApiRequest) -> Response[bytes]:
        """Reject a change, or withdraw one's own."""
        change_id = uuid_of(read_path(request, PolicyChangeId))
        asked = await read_body(request, DecisionFields)
        app = app_of(request)
        rejected = await policy.reject_change(
            app.pool,
            app.clock,
            book_id=request.user.book_id,
            change_id=change_id,
            actor_id=request.user.key_id,
            reason=asked.reason,
        )
        return answer(rejected, show_change)

    @post(
        "/imports",
        **operation(
            Scope.POLICY_WRITE,
            body=ImportFields,
            answer=PolicyChangeView,
            status=201,
            refusals=[NOT_FOUND, RULE_FILE_INVALID],
        ),
    )
    async def import_rules(self, request: ApiRequest) -> Response[bytes]:
        """Propose all rules of a file as one change; one bad line refuses the file, and every bad line is told."""
        asked = await read_body(request, ImportFields)
        app, book_id = app_of(request), request.user.book_id
        issuer_id, today = await _asked_issuer(app, book_id, asked.issuer_id)
        made = await policy.import_file(
            app.pool,
            app.clock,
            app.ids,
            book_id=book_id,
            issuer_id=issuer_id,
            actor_id=request.user.key_id,
            today=today,
            note=asked.note,
            text=asked.content,
            file_format=asked.format,
        )
        return answer(made, show_change, status=201)

    @post(
        "/imports/check",
        **operation(Scope.POLICY_WRITE, body=RuleFileFields, answer=FileReport, refusals=[NOT_FOUND]),
    )
    async def check_rule_file(self, request: ApiRequest) -> Response[bytes]:
        """Check a file of rules whole without proposing anything: every bad line with its number."""
        asked = await read_body(request, RuleFileFields)
        app, book_id = app_of(request), request.user.book_id
        issuer_id, today = await _asked_issuer(app, book_id, asked.issuer_id)
        rules, problems = await policy.check_file(
            app.pool,
            book_id=book_id,
            issuer_id=issuer_id,
            text=asked.content,
            file_format=asked.format,
            today=today,
        )
        return answer(FileReport(len(rules), [show_line(problem) for problem in problems]), lambda shown: shown)
