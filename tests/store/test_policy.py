"""Changes of rules in a real database: two persons, one version after the other, evidence, and nothing rewritten."""

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.town import audits_hold
from tests.unit.policy_rules import law, question, rule

from kaquan.audit import run_audits
from kaquan.evidence import policy_leaf_hash
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool, app_conninfo
from kaquan.kit.ids import Ids
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import read_cursor
from kaquan.parties import Book, Issuer, Mode, create_issuer, create_tenant
from kaquan.policy import (
    CardClass,
    Change,
    ChangeStatus,
    Decision,
    Ending,
    FileFormat,
    Metric,
    NewChange,
    Policy,
    Rule,
    RuleSet,
    Search,
    approve_change,
    check_file,
    decide,
    get_change,
    get_rule_set,
    house_template,
    import_file,
    leaf_of,
    list_changes,
    propose_change,
    reject_change,
    released_law,
)
from kaquan.policy.check_rules import NextRules
from kaquan.policy.propose import load_next_rules

TODAY = date(2026, 3, 1)
CAP = question(Metric.CARD_BALANCE_CAP, card_class=CardClass.UNREGISTERED)


class Desk:
    """A book with an issuer, and two persons who change its rules."""

    def __init__(self, pool: Pool, clock: Clock, ids: Ids, book: Book, issuer: Issuer) -> None:
        self.pool, self.clock, self.ids, self.book, self.issuer = pool, clock, ids, book, issuer
        self.first, self.second = ids.new(), ids.new()

    async def propose(
        self, *add: Rule, end: tuple[Ending, ...] = (), today: date = TODAY, **changed: Any
    ) -> Change | Refusal:
        new = NewChange(**{"issuer_id": self.issuer.id, "note": "自定规则", "add": add, "end": end, **changed})
        return await propose_change(
            self.pool, self.clock, self.ids, book_id=self.book.id, actor_id=self.first, today=today, new=new
        )

    async def proposed(self, *add: Rule, **how: Any) -> Change:
        change = await self.propose(*add, **how)
        assert isinstance(change, Change), change
        return change

    async def approve(
        self, change: Change, *, by: UUID | None = None, today: date = TODAY, book: Book | None = None
    ) -> Change | Refusal:
        return await approve_change(
            self.pool,
            self.clock,
            book_id=(book or self.book).id,
            change_id=change.id,
            actor_id=by or self.second,
            today=today,
            reason="ok",
            slots=(0,),
        )

    async def approved(self, *add: Rule, **how: Any) -> Change:
        change = await self.approve(await self.proposed(*add, **how))
        assert isinstance(change, Change), change
        return change

    async def reject(self, change: Change, *, by: UUID | None = None) -> Change | Refusal:
        return await reject_change(
            self.pool, self.clock, book_id=self.book.id, change_id=change.id, actor_id=by or self.second, reason="no"
        )

    async def rules(self, issuer_id: UUID | None = None, version: int | None = None) -> RuleSet:
        found = await get_rule_set(
            self.pool, book_id=self.book.id, issuer_id=issuer_id or self.issuer.id, version=version
        )
        assert isinstance(found, RuleSet)
        return found

    async def state(self) -> tuple[Any, ...]:
        """All that a refusal must leave as it was."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT (SELECT count(*) FROM policy_change), (SELECT count(*) FROM policy_decision),"
                " (SELECT count(*) FROM policy_rule_set), (SELECT count(*) FROM evidence_leaf),"
                " (SELECT sum(version) FROM parties_book)"
            )
            row = await cursor.fetchone()
        assert row is not None
        return tuple(row)

    async def leaf(self, change: Change) -> list[tuple[int, bytes]]:
        async with self.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT slot, leaf_hash FROM evidence_leaf WHERE transaction_id = %s", (change.id,)
            )
            return [(slot, bytes(leaf_hash)) for slot, leaf_hash in await cursor.fetchall()]


@pytest.fixture
async def desk(pool: Pool, clock: Clock, ids: Ids) -> Desk:
    created = await create_tenant(pool, clock, ids, name=f"tenant {ids.new()}")
    assert not isinstance(created, Refusal)
    book = created[1][Mode.LIVE]
    issuer = await create_issuer(pool, clock, ids, book_id=book.id, code="i1", name="发卡方", time_zone="Asia/Shanghai")
    assert isinstance(issuer, Issuer)
    return Desk(pool, clock, ids, book, issuer)


def refused(result: object, code: str, field: str | None = None) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    return result


async def test_a_change_is_proposed_approved_and_in_force(desk: Desk) -> None:
    known = Policy(desk.pool)
    await known.refresh()
    change = await desk.proposed(rule("HOUSE-CAP", value=80_000))
    assert (change.status, change.version, change.decided_by) == (ChangeStatus.PROPOSED, None, None)
    assert await desk.rules() == RuleSet(desk.book.id, desk.issuer.id, 0)
    await known.refresh()
    before = known.ask(desk.book.id, desk.issuer.id, CAP)
    assert before is not None
    assert before.rule_id == "CN-SP-CAP-02"
    approved = await desk.approve(change)
    assert isinstance(approved, Change)
    assert (approved.status, approved.version, approved.decided_by) == (ChangeStatus.APPROVED, 1, desk.second)
    assert await get_change(desk.pool, book_id=desk.book.id, change_id=change.id) == approved
    assert (await desk.rules()).rules == change.add
    await known.refresh()
    after = known.ask(desk.book.id, desk.issuer.id, CAP)
    assert after is not None
    assert (after.rule_id, after.value, [other.id for other in after.also]) == ("HOUSE-CAP", 80_000, ["CN-SP-CAP-02"])
    law_only = known.ask(desk.book.id, None, CAP)
    assert law_only is not None
    assert law_only.rule_id == "CN-SP-CAP-02", "house rules bind their issuer alone"
    assert known.ask(desk.book.id, desk.ids.new(), CAP) == law_only


async def test_an_approved_change_is_a_leaf_that_can_be_recomputed(desk: Desk) -> None:
    change = await desk.proposed(
        rule("HOUSE-CAP"), rule("HOUSE-NOTE", metric=Metric.FILING_AUTHORITY, value="市", jurisdiction="US")
    )
    assert await desk.leaf(change) == []
    approved = await desk.approve(change)
    assert isinstance(approved, Change)
    again = await get_change(desk.pool, book_id=desk.book.id, change_id=change.id)
    assert isinstance(again, Change)
    assert await desk.leaf(change) == [(0, policy_leaf_hash(leaf_of(again, 0)))]
    rejected = await desk.proposed(rule("HOUSE-2", metric=Metric.REBATE_CAP, value=800))
    assert isinstance(await desk.reject(rejected), Change)
    assert await desk.leaf(rejected) == [], "a rejection changes no rule"


async def test_who_proposes_does_not_approve(desk: Desk) -> None:
    change = await desk.proposed(rule())
    before = await desk.state()
    refused(await desk.approve(change, by=desk.first), "second_person_required")
    assert await desk.state() == before
    withdrawn = await desk.reject(change, by=desk.first)
    assert isinstance(withdrawn, Change)
    assert withdrawn.decision is Decision.REJECTED, "one may withdraw one's own"


async def test_the_database_asks_for_a_second_person_too(desk: Desk) -> None:
    change = await desk.proposed(rule())
    before = await desk.state()
    for claimed in (desk.first, desk.second):
        async with desk.pool.connection() as connection:
            with pytest.raises(psycopg.IntegrityError) as caught:
                await connection.execute(
                    "SELECT policy_approve_v1(0::smallint, %s, %s, %s, 1, %s, %s, now(), '', '[]', '[]', sha256(''))",
                    (change.id, desk.book.id, desk.issuer.id, claimed, claimed),
                )
        # a proposer who is not that of the change does not pass either
        expected = "policy_decision_four_eyes"
        assert caught.value.diag.constraint_name == expected
    async with desk.pool.connection() as connection:
        with pytest.raises(psycopg.IntegrityError) as caught:
            await connection.execute(
                "SELECT policy_approve_v1(0::smallint, %s, %s, %s, 1, %s, %s, now(), '', '[]', '[]', sha256(''))",
                (change.id, desk.book.id, desk.issuer.id, desk.second, desk.first),
            )
    assert caught.value.diag.constraint_name == "policy_decision_change"
    assert await desk.state() == before


async def test_a_change_is_decided_once(desk: Desk) -> None:
    change = await desk.approved(rule())
    before = await desk.state()
    assert refused(await desk.approve(change), "change_already_decided").message("zh") == "该变更已处理（已批准）。"
    refused(await desk.approve(change, by=desk.first), "change_already_decided")
    refused(await desk.reject(change), "change_already_decided")
    assert await desk.state() == before
    other = await desk.proposed(rule("HOUSE-2", metric=Metric.REBATE_CAP, value=1))
    assert isinstance(await desk.reject(other), Change)
    before = await desk.state()
    refused(await desk.approve(other), "change_already_decided")
    assert await desk.state() == before


async def test_of_many_decisions_about_one_change_one_counts(desk: Desk) -> None:
    change = await desk.proposed(rule())
    told = await asyncio.gather(
        *(desk.approve(change, by=desk.ids.new()) for _ in range(6)), *(desk.reject(change) for _ in range(6))
    )
    codes = Counter(one.code if isinstance(one, Refusal) else "done" for one in told)
    assert codes == {"done": 1, "change_already_decided": 11}
    after = await get_change(desk.pool, book_id=desk.book.id, change_id=change.id)
    assert isinstance(after, Change)
    is_approved = after.decision is Decision.APPROVED
    assert len(await desk.leaf(change)) == (1 if is_approved else 0)
    assert (await desk.rules()).version == (1 if is_approved else 0)


async def test_an_approval_that_comes_between_is_not_told_as_an_overlap(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another approval of the same change puts its rules in force after this one has read that it is undecided."""
    change = await desk.proposed(rule())

    async def load_later(*args: Any, **how: Any) -> NextRules:
        monkeypatch.setattr(decide, "load_next_rules", load_next_rules)
        assert isinstance(await desk.approve(change, by=desk.ids.new()), Change)
        return await load_next_rules(*args, **how)

    monkeypatch.setattr(decide, "load_next_rules", load_later)
    refused(await desk.approve(change), "change_already_decided")
    assert len((await desk.rules()).rules) == 1
    assert (await desk.rules()).version == 1


async def test_many_changes_of_one_issuer_make_one_version_each(desk: Desk) -> None:
    metrics = [Metric.REBATE_CAP, Metric.VOUCHER_VALIDITY_MAX_DAYS, Metric.GUARANTEE_SHARE, Metric.BUYBACK_FEE_CAP]
    changes = [await desk.proposed(rule(f"HOUSE-{n}", metric=metric, value=n + 1)) for n, metric in enumerate(metrics)]
    told = await asyncio.gather(*(desk.approve(change) for change in changes))
    assert all(isinstance(one, Change) for one in told), told
    assert sorted(one.version for one in told if isinstance(one, Change)) == [1, 2, 3, 4]  # type: ignore[type-var]
    assert {one.id for one in (await desk.rules()).rules} == {f"HOUSE-{n}" for n in range(4)}
    assert [len((await desk.rules(version=version)).rules) for version in range(5)] == [0, 1, 2, 3, 4]


async def test_two_changes_that_cannot_both_stand(desk: Desk) -> None:
    one, other = await desk.proposed(rule("HOUSE-1", value=1)), await desk.proposed(rule("HOUSE-2", value=2))
    told = await asyncio.gather(desk.approve(one), desk.approve(other))
    refusals = [result for result in told if isinstance(result, Refusal)]
    assert [(refusal.code, refusal.field) for refusal in refusals] == [("rules_overlap", "add[0].effective_from")]
    assert len((await desk.rules()).rules) == 1


async def test_a_rule_is_replaced_by_ending_it_and_every_version_stays_readable(desk: Desk) -> None:
    await desk.approved(rule("HOUSE-CAP", value=80_000))
    first = await desk.rules()
    successor = rule("HOUSE-CAP", value=60_000, effective_from=date(2026, 7, 1))
    before = await desk.state()
    refused(await desk.propose(successor), "rules_overlap", "add[0].effective_from")
    assert await desk.state() == before
    ending = Ending("HOUSE-CAP", TODAY, date(2026, 6, 30))
    changed = await desk.approved(successor, end=(ending,))
    assert changed.version == 2
    rules = (await desk.rules()).rules
    assert [(one.value, one.effective_to) for one in rules] == [(80_000, date(2026, 6, 30)), (60_000, None)]
    assert await desk.rules(version=1) == first
    known = Policy(desk.pool)
    await known.refresh()
    answers = [
        known.ask(desk.book.id, desk.issuer.id, CAP._replace(on=day)) for day in (date(2026, 6, 30), date(2026, 7, 1))
    ]
    assert [answer and answer.value for answer in answers] == [80_000, 60_000]
    refused(
        await get_rule_set(desk.pool, book_id=desk.book.id, issuer_id=desk.issuer.id, version=3),
        "not_found",
        "version",
    )


async def test_what_cannot_stand_is_refused_with_the_row(desk: Desk) -> None:
    await desk.approved(rule("HOUSE-CAP", value=80_000))
    before = await desk.state()
    weaker = refused(
        await desk.propose(rule("HOUSE-2", value=600_000, card_class=(CardClass.REGISTERED,))),
        "house_rule_weaker_than_law",
        "add[0].value",
    )
    for language in ("en", "zh"):
        assert "CN-SP-CAP-01" in weaker.message(language)
        assert "国办发〔2011〕25号" in weaker.message(language)
    refused(await desk.propose(rule("HOUSE-CAP", value=70_000)), "rules_overlap", "add[0].effective_from")
    refused(
        await desk.propose(rule("HOUSE-3", metric=Metric.REBATE_CAP, effective_from=TODAY - timedelta(days=1))),
        "rule_in_the_past",
        "add[0].effective_from",
    )
    refused(await desk.propose(end=(Ending("HOUSE-9", TODAY, TODAY),)), "unknown_rule", "end[0].rule_id")
    refused(await desk.propose(end=(Ending("CN-SP-CAP-01", TODAY, TODAY),)), "unknown_rule", "end[0].rule_id")
    refused(
        await desk.propose(end=(Ending("HOUSE-CAP", TODAY, TODAY - timedelta(days=1)),)),
        "rule_in_the_past",
        "end[0].effective_to",
    )
    refused(await desk.propose(), "invalid_field", "add")
    refused(await desk.propose(rule("HOUSE-4"), issuer_id=desk.ids.new()), "not_found", "issuer_id")
    refused(await desk.propose(rule("CN-SP-CAP-02", value=1, jurisdiction="CN-31")), "invalid_field", "add[0].id")
    assert await desk.state() == before


async def test_an_end_can_only_come_earlier(desk: Desk) -> None:
    """A later one could run into the successor: that is a rule to add."""
    day = timedelta(days=1)
    await desk.approved(rule("HOUSE-CAP"))
    begins = rule().effective_from
    await desk.approved(end=(Ending("HOUSE-CAP", begins, TODAY + 9 * day),))
    before = await desk.state()
    for ends in (TODAY + 10 * day, begins - day):
        code = "invalid_field" if ends > TODAY else "rule_in_the_past"
        refused(await desk.propose(end=(Ending("HOUSE-CAP", begins, ends),)), code, "end[0].effective_to")
    late = await desk.propose(end=(Ending("HOUSE-CAP", begins, TODAY + 9 * day),), today=TODAY + 10 * day)
    refused(late, "rule_in_the_past", "end[0].effective_to")
    cap = next(row for row in released_law() if row.id == "CN-SP-CAP-02")
    too_early = Ending(cap.id, cap.effective_from, cap.effective_from - day)
    refused(await desk.propose(end=(too_early,), issuer_id=None), "invalid_field", "end[0].effective_to")
    assert await desk.state() == before
    await desk.approved(end=(Ending("HOUSE-CAP", begins, TODAY + 5 * day),))
    assert [one.effective_to for one in (await desk.rules()).rules] == [TODAY + 5 * day]


async def test_law_may_be_learnt_of_late(desk: Desk) -> None:
    late = law("SH-LATE-01", metric=Metric.DAY_SPEND_CAP, jurisdiction="CN-31", effective_from=date(2026, 1, 1))
    approved = await desk.approved(late, issuer_id=None)
    found = await get_rule_set(desk.pool, book_id=desk.book.id, issuer_id=None)
    assert isinstance(found, RuleSet)
    assert (found.version, found.rules) == (approved.version, (late,))


async def test_a_change_that_waited_too_long_is_refused(desk: Desk) -> None:
    change = await desk.proposed(rule())
    before = await desk.state()
    refused(await desk.approve(change, today=TODAY + timedelta(days=1)), "rule_in_the_past", "add[0].effective_from")
    assert await desk.state() == before


async def test_a_book_may_add_to_the_law_and_end_rows_of_it(desk: Desk) -> None:
    """A change of law is a row, not a release."""
    cap = next(row for row in released_law() if row.id == "CN-SP-CAP-02")
    ending = Ending(cap.id, cap.effective_from, date(2026, 6, 30))
    successor = law(
        "CN-SP-CAP-02",
        value=200_000,
        scheme=cap.reach.scheme,
        card_class=cap.reach.card_class,
        effective_from=date(2026, 7, 1),
        source="新规 2026",
    )
    refused(await desk.propose(successor, issuer_id=None), "rules_overlap", "add[0].effective_from")
    changed = await desk.approved(successor, issuer_id=None, end=(ending,))
    assert (changed.issuer_id, changed.version) == (None, 1)
    known = Policy(desk.pool)
    await known.refresh()
    for issuer_id in (None, desk.issuer.id):
        answers = [
            known.ask(desk.book.id, issuer_id, CAP._replace(on=day)) for day in (date(2026, 6, 30), date(2026, 7, 1))
        ]
        assert [answer and answer.value for answer in answers] == [100_000, 200_000]
    # another tenant's law is as it was released
    other = known.ask(desk.book.id + 1_000_000, None, CAP._replace(on=date(2026, 7, 1)))
    assert other is not None
    assert other.value == 100_000
    # and house rules are held against the law as the book has it
    where: dict[str, Any] = {"scheme": cap.reach.scheme, "card_class": cap.reach.card_class}
    house = rule("HOUSE-CAP", value=150_000, effective_from=date(2026, 7, 1), **where)
    assert isinstance(await desk.propose(house), Change)
    early = rule("HOUSE-CAP", value=150_000, effective_from=date(2026, 6, 30), **where)
    refused(await desk.propose(early), "house_rule_weaker_than_law", "add[0].value")


async def test_a_file_is_proposed_whole_or_not_at_all(desk: Desk) -> None:
    text = house_template().replace("2026-01-01", "2026-04-01")
    bad = text.replace("rebate_cap_bp,800", "rebate_cap_bp,lots").replace(",1320,", ",1440,")
    bad += (
        "HOUSE-CAP,CN,single_purpose,,registered,,,,,card_balance_cap_fen,600000,reject,2026-04-01,,board,限额,cap,\n"
    )

    async def take(content: str) -> Change | Refusal:
        return await import_file(
            desk.pool,
            desk.clock,
            desk.ids,
            book_id=desk.book.id,
            issuer_id=desk.issuer.id,
            actor_id=desk.first,
            today=TODAY,
            note="模板",
            text=content,
            file_format=FileFormat.CSV,
        )

    before = await desk.state()
    refusal = refused(await take(bad), "rule_file_invalid", "content")
    for language, line in (("en", "line {}: "), ("zh", "第 {} 行：")):
        said = refusal.message(language)
        assert all(line.format(number) in said for number in (4, 5, 11)), said
        assert line.format(2) not in said
        assert "CN-SP-CAP-01" in said
    refused(await take(""), "rule_file_invalid", "content")
    refused(await take(house_template()), "rule_file_invalid", "content")  # begins in the past
    assert await desk.state() == before
    rules, problems = await check_file(
        desk.pool,
        book_id=desk.book.id,
        issuer_id=desk.issuer.id,
        text=bad,
        file_format=FileFormat.CSV,
        today=TODAY,
    )
    assert ([line for line, _ in problems], len(rules)) == ([4, 5, 11], 8)
    change = await take(text)
    assert isinstance(change, Change)
    assert len(change.add) == 9
    assert isinstance(await desk.approve(change), Change)
    assert (await desk.rules()).rules == change.add


async def test_nothing_of_another_book_is_found_or_decided(desk: Desk) -> None:
    created = await create_tenant(desk.pool, desk.clock, desk.ids, name=f"tenant {desk.ids.new()}")
    assert not isinstance(created, Refusal)
    theirs = created[1][Mode.LIVE]
    change = await desk.proposed(rule())
    before = await desk.state()
    refused(await get_change(desk.pool, book_id=theirs.id, change_id=change.id), "not_found", "id")
    refused(await desk.approve(change, book=theirs), "not_found", "id")
    refused(
        await reject_change(
            desk.pool, desk.clock, book_id=theirs.id, change_id=change.id, actor_id=desk.second, reason="no"
        ),
        "not_found",
        "id",
    )
    stolen = NewChange(issuer_id=desk.issuer.id, note="x", add=(rule("HOUSE-X"),))
    refused(
        await propose_change(
            desk.pool, desk.clock, desk.ids, book_id=theirs.id, actor_id=desk.first, today=TODAY, new=stolen
        ),
        "not_found",
        "issuer_id",
    )
    assert (await list_changes(desk.pool, book_id=theirs.id, search=Search())).data == []
    assert await desk.state() == before


async def test_changes_are_listed_and_narrowed(desk: Desk) -> None:
    made = [await desk.proposed(rule(f"HOUSE-{number}")) for number in range(5)]
    approved = await desk.approve(made[1])
    rejected = await desk.reject(made[2])
    now = [made[4], made[3], rejected, approved, made[0]]
    seen: list[Change] = []
    after: UUID | None = None
    while True:
        page = await list_changes(desk.pool, book_id=desk.book.id, search=Search(limit=2, after_id=after))
        seen += page.data
        if page.next_cursor is None:
            break
        after = read_cursor(page.next_cursor)
    assert seen == now
    for search, found in (
        (Search(status=ChangeStatus.PROPOSED), [made[4], made[3], made[0]]),
        (Search(status=ChangeStatus.APPROVED), [approved]),
        (Search(status=ChangeStatus.REJECTED), [rejected]),
        (Search(issuer_id=desk.ids.new()), []),
        (Search(issuer_id=desk.issuer.id, created_after=made[3].proposed_at), [made[4]]),
        (Search(created_before=made[1].proposed_at), [made[0]]),
    ):
        assert (await list_changes(desk.pool, book_id=desk.book.id, search=search)).data == found


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE policy_change SET note = 'x'",
        "DELETE FROM policy_change",
        "UPDATE policy_decision SET decision = 'approved'",
        "DELETE FROM policy_decision",
        "INSERT INTO policy_decision (change_id, decision, proposed_by, decided_by, decided_at, reason)"
        " SELECT id, 'rejected', proposed_by, proposed_by, now(), '' FROM policy_change",
        "UPDATE policy_rule_set SET rules = '[]'",
        "DELETE FROM policy_rule_set",
        "INSERT INTO policy_rule_set"
        " SELECT book_id, owner_id, version + 9, change_id, rules, endings FROM policy_rule_set",
        "TRUNCATE policy_change CASCADE",
        "INSERT INTO evidence_leaf VALUES (0, gen_random_uuid(), sha256(''), NULL)",
    ],
)
async def test_the_serving_role_cannot_rewrite_history(desk: Desk, statement: str) -> None:
    await desk.approved(rule())
    before = await desk.state()
    async with desk.pool.connection() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(statement.encode())
    assert await desk.state() == before


async def test_the_audit_sees_what_was_altered(desk: Desk, database: str) -> None:
    await desk.approved(rule("HOUSE-CAP", value=80_000))
    second = await desk.approved(
        rule("HOUSE-CAP", value=70_000, effective_from=date(2026, 7, 1)),
        end=(Ending("HOUSE-CAP", TODAY, date(2026, 6, 30)),),
    )
    await audits_hold(database)
    for damage, what in (
        ("UPDATE policy_change SET added = jsonb_set(added, '{0,value}', '90000') WHERE id = %s", "leaf_hash"),
        ("UPDATE policy_change SET note = 'x' WHERE id = %s", "leaf_hash"),
        ("DELETE FROM evidence_leaf WHERE transaction_id = %s", "leaf"),
        ("UPDATE policy_rule_set SET rules = jsonb_set(rules, '{0,value}', '1') WHERE change_id = %s", "rule set"),
        ("DELETE FROM policy_rule_set WHERE change_id = %s", "rule set"),
        ("UPDATE policy_rule_set SET version = 9 WHERE change_id = %s", "approval of the rule set"),
    ):
        async with await psycopg.AsyncConnection.connect(database) as owner:
            await owner.execute(
                "CREATE TEMP TABLE kept_change AS SELECT * FROM policy_change WHERE id = %s", (second.id,)
            )
            await owner.execute(
                "CREATE TEMP TABLE kept_set AS SELECT * FROM policy_rule_set WHERE change_id = %s", (second.id,)
            )
            await owner.execute(
                "CREATE TEMP TABLE kept_leaf AS SELECT * FROM evidence_leaf WHERE transaction_id = %s", (second.id,)
            )
            await owner.execute(damage.encode(), (second.id,))
            await owner.commit()
            report = await run_audits(database, names=["policy", "leaves"])
            found = {audit.name: [finding.what for finding in audit.findings] for audit in report.audits}
            assert what in found["policy"], (damage, found)
            assert found["leaves"] == []
            await owner.execute(
                "UPDATE policy_change c SET added = k.added, note = k.note FROM kept_change k WHERE k.id = c.id"
            )
            await owner.execute("DELETE FROM policy_rule_set WHERE change_id = %s", (second.id,))
            await owner.execute("INSERT INTO policy_rule_set SELECT * FROM kept_set")
            await owner.execute("DELETE FROM evidence_leaf WHERE transaction_id = %s", (second.id,))
            await owner.execute("INSERT INTO evidence_leaf SELECT * FROM kept_leaf")
            await owner.commit()
    await audits_hold(database)


async def test_copies_in_memory_are_not_read_again_for_nothing(desk: Desk) -> None:
    known = Policy(desk.pool)
    assert known.version(desk.book.id) == 0
    assert known.ask(desk.book.id, desk.issuer.id, CAP) is not None, "the law is known before the first refresh"
    await known.refresh()
    before = known.rules(desk.book.id, desk.issuer.id)
    await known.refresh()
    assert known.rules(desk.book.id, desk.issuer.id) is before
    version = known.version(desk.book.id)
    await desk.approved(rule())
    await known.refresh()
    assert known.version(desk.book.id) == version + 1
    assert known.rules(desk.book.id, desk.issuer.id) is not before


def test_the_pool_serves_as_the_application(database: str) -> None:
    with psycopg.connect(app_conninfo(database)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("kaquan_app",)
