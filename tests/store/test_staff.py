"""Operators and approvals in a real database: what a key may do, who may decide, and that it is done once."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.town import HandClock

from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties import (
    Book,
    Directory,
    IssuedKey,
    Mode,
    Principal,
    Scope,
    create_merchant,
    create_store,
    create_tenant,
    issue_key,
    list_keys,
)
from kaquan.parties.staff import (
    Approval,
    ApprovalKind,
    ApprovalSearch,
    ApprovalStatus,
    NewApproval,
    Operator,
    OperatorChange,
    OperatorSearch,
    OperatorStatus,
    Role,
    approve,
    change_operator,
    claim_approval,
    create_operator,
    expire_approvals,
    get_approval,
    get_operator,
    list_approvals,
    list_operators,
    may_act_at,
    propose,
    reject,
    scopes_of,
    withdraw,
)
from kaquan.parties.trail import Action, ActionSearch, Actor, list_actions

CARD = "card_" + "0" * 32
PAYLOAD = {"amount_fen": -500, "card": CARD}


class Office:
    """A book with its staff, and short ways to have them act."""

    def __init__(self, pool: Pool, clock: HandClock, ids: Ids) -> None:
        self.pool, self.clock, self.ids = pool, clock, ids
        self.book: Book
        self.other: Book

    async def open(self) -> "Office":
        for name in ("book", "other"):
            created = await create_tenant(self.pool, self.clock, self.ids, name=f"tenant {self.ids.new()}")
            assert not isinstance(created, Refusal)
            setattr(self, name, created[1][Mode.LIVE])
        return self

    async def hire(self, code: str, *roles: Role, stores: frozenset[UUID] | None = None) -> Operator:
        made = await create_operator(
            self.pool,
            self.clock,
            self.ids,
            book_id=self.book.id,
            code=code,
            name=code,
            roles=frozenset(roles or {Role.OPERATOR}),
            store_ids=stores,
        )
        assert isinstance(made, Operator), made
        return made

    async def change(self, operator: Operator, **change: Any) -> Operator | Refusal:
        return await change_operator(
            self.pool, self.clock, self.ids, book_id=self.book.id, id_=operator.id, change=OperatorChange(**change)
        )

    async def key(self, operator: Operator, *scopes: Scope) -> IssuedKey:
        issued = await issue_key(
            self.pool,
            self.clock,
            self.ids,
            book=self.book,
            name="key",
            scopes=scopes or Scope,
            operator_id=operator.id,
        )
        assert isinstance(issued, IssuedKey), issued
        return issued

    async def store(self, code: str) -> UUID:
        merchant = await create_merchant(
            self.pool, self.clock, self.ids, book_id=self.book.id, code=code, name=code, trade=None
        )
        assert not isinstance(merchant, Refusal)
        made = await create_store(
            self.pool, self.clock, self.ids, book_id=self.book.id, merchant_id=merchant.id, code=code, name=code
        )
        assert not isinstance(made, Refusal)
        return made.id

    async def propose(self, by: Operator, *, ttl_s: int = 3_600) -> Approval:
        new = NewApproval(kind=ApprovalKind.ADJUSTMENT, subject=CARD, payload=PAYLOAD, reason="多扣一次", ttl_s=ttl_s)
        made = await propose(
            self.pool, self.clock, self.ids, book_id=self.book.id, new=new, by=Actor(operator_id=by.id)
        )
        assert isinstance(made, Approval), made
        return made

    async def approved(self, by: Operator, and_: Operator) -> Approval:
        made = await self.decide(approve, await self.propose(by), and_)
        assert isinstance(made, Approval), made
        return made

    async def decide(self, verb: Any, approval: Approval, by: Operator | None) -> Approval | Refusal:
        decided: Approval | Refusal = await verb(
            self.pool,
            self.clock,
            self.ids,
            book_id=self.book.id,
            id_=approval.id,
            by=Actor(operator_id=None if by is None else by.id),
        )
        return decided

    async def claim(self, approval: Approval, *, fail: bool = False, **other: Any) -> Approval | Refusal:
        what: dict[str, Any] = {
            "book_id": self.book.id,
            "id_": approval.id,
            "kind": ApprovalKind.ADJUSTMENT,
            "subject": CARD,
            "payload": {"card": CARD, "amount_fen": -500},
            "by": Actor(request_id="till"),
            **other,
        }
        async with self.pool.connection() as connection, connection.transaction(force_rollback=fail):
            return await claim_approval(connection, self.clock, self.ids, **what)

    async def status(self, approval: Approval) -> ApprovalStatus:
        found = await get_approval(self.pool, book_id=self.book.id, id_=approval.id)
        assert isinstance(found, Approval)
        return found.status_at(self.clock.now())

    async def listed(self, **search: Any) -> list[UUID]:
        page = await list_approvals(
            self.pool, book_id=self.book.id, search=ApprovalSearch(**search), now=self.clock.now()
        )
        return [approval.id for approval in page.data]

    async def trail(self, approval: Approval) -> list[Action]:
        search = ActionSearch(subject=show_id(Prefix.APPROVAL, approval.id))
        return (await list_actions(self.pool, book_id=self.book.id, search=search)).data[::-1]

    async def principal(self, key: IssuedKey) -> Principal | None:
        directory = Directory(self.pool)
        await directory.refresh()
        return directory.authenticate(key.token)


@pytest.fixture
async def office(pool: Pool, ids: Ids) -> Office:
    return await Office(pool, HandClock(), ids).open()


def refused(result: object, code: str, field: str | None = None) -> Refusal:
    assert isinstance(result, Refusal), result
    assert (result.code, result.field) == (code, field)
    assert "{" not in result.message("en") + result.message("zh")
    return result


# Operators and their keys


async def test_an_operator_is_made_changed_and_found(office: Office) -> None:
    shop = await office.store("s1")
    made = await office.hire("wang", Role.CASHIER, stores=frozenset({shop}))
    assert await get_operator(office.pool, book_id=office.book.id, id_=made.id) == made
    boss = await office.hire("li", Role.ADMIN, Role.APPROVER)

    async def listed(**search: Any) -> list[Operator]:
        page = await list_operators(office.pool, book_id=office.book.id, search=OperatorSearch(**search))
        return page.data

    assert await listed() == [boss, made]
    assert await listed(role=Role.APPROVER) == [boss]
    assert await listed(code="wang") == [made]
    changed = await office.change(made, roles=frozenset({Role.STORE_MANAGER}), store_ids=None)
    assert isinstance(changed, Operator)
    assert (changed.roles, changed.store_ids) == (frozenset({Role.STORE_MANAGER}), None)
    assert await get_operator(office.pool, book_id=office.book.id, id_=made.id) == changed
    assert await office.change(made) == changed
    search = ActionSearch(subject=show_id(Prefix.OPERATOR, made.id))
    trail = (await list_actions(office.pool, book_id=office.book.id, search=search)).data
    assert [action.kind for action in trail] == ["operator.changed", "operator.created"]
    assert trail[0].before == {"roles": ["cashier"], "store_ids": [show_id(Prefix.STORE, shop)]}
    assert trail[0].after == {"roles": ["store_manager"], "store_ids": None}


async def test_an_operator_needs_a_code_a_role_and_real_stores(office: Office) -> None:
    made = await office.hire("wang")
    nowhere = frozenset({office.ids.new()})
    args: dict[str, Any] = {"book_id": office.book.id, "code": "x", "name": "x", "roles": frozenset({Role.CASHIER})}
    for change, code, field in (
        ({"code": "wang"}, "already_exists", "code"),
        ({"roles": frozenset()}, "invalid_field", "roles"),
        ({"store_ids": nowhere}, "not_found", "store_ids"),
    ):
        refused(await create_operator(office.pool, office.clock, office.ids, **{**args, **change}), code, field)
    refused(await office.change(made, roles=frozenset()), "invalid_field", "roles")
    refused(await office.change(made, store_ids=nowhere), "not_found", "store_ids")
    page = await list_operators(office.pool, book_id=office.book.id, search=OperatorSearch())
    assert page.data == [made]
    office.book = office.other
    refused(await office.change(made, name="stolen"), "not_found", "id")
    refused(await get_operator(office.pool, book_id=office.book.id, id_=made.id), "not_found", "id")


async def test_a_key_may_do_what_it_and_its_operator_may(office: Office) -> None:
    shop = await office.store("s1")
    cashier = await office.hire("wang", Role.CASHIER, stores=frozenset({shop}))
    key = await office.key(cashier, Scope.PAYMENTS_WRITE, Scope.CUSTOMERS_FORGET)
    principal = await office.principal(key)
    assert principal is not None
    assert principal.scopes == {Scope.PAYMENTS_WRITE}
    assert (principal.operator_id, principal.store_ids) == (cashier.id, frozenset({shop}))
    assert may_act_at(principal, shop) is None
    refused(may_act_at(principal, office.ids.new()), "store_out_of_scope")
    await office.change(cashier, roles=frozenset({Role.ADMIN}), store_ids=None)
    principal = await office.principal(key)
    assert principal is not None
    assert principal.scopes == {Scope.PAYMENTS_WRITE, Scope.CUSTOMERS_FORGET}
    assert may_act_at(principal, office.ids.new()) is None
    await office.change(cashier, status=OperatorStatus.SUSPENDED)
    assert await office.principal(key) is None
    await office.change(cashier, status=OperatorStatus.ACTIVE)
    assert await office.principal(key) == principal


async def test_a_key_needs_an_operator_of_its_book(office: Office) -> None:
    stranger = await office.hire("wang")
    for book, operator_id in ((office.other, stranger.id), (office.book, office.ids.new())):
        result = await issue_key(
            office.pool,
            office.clock,
            office.ids,
            book=book,
            name="x",
            scopes=Scope,
            operator_id=operator_id,
        )
        refused(result, "not_found", "operator_id")
        assert await list_keys(office.pool, book.id) == []


def test_every_scope_is_an_admins_and_nobody_approves_what_they_propose_by_role() -> None:
    assert scopes_of({Role.ADMIN}) == frozenset(Scope)
    assert scopes_of(set()) == frozenset()
    for role in set(Role) - {Role.ADMIN}:
        assert not {Scope.APPROVALS_PROPOSE, Scope.APPROVALS_DECIDE} <= scopes_of({role})
    assert all(scope.endswith(":read") for scope in scopes_of({Role.AUDITOR}))


# Four eyes


async def test_what_is_approved_is_done_once(office: Office) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    approval = await office.propose(wang)
    assert await office.status(approval) is ApprovalStatus.PROPOSED
    refused(await office.claim(approval), "approval_not_approved", "approval_id")
    approved = await office.decide(approve, approval, li)
    assert isinstance(approved, Approval)
    assert (approved.status, approved.decided_by) == (ApprovalStatus.APPROVED, li.id)
    executed = await office.claim(approval)
    assert isinstance(executed, Approval)
    assert executed.status is ApprovalStatus.EXECUTED
    refused(await office.claim(approval), "approval_not_approved", "approval_id")
    trail = await office.trail(approval)
    assert [action.kind for action in trail] == [
        "approval.proposed",
        "approval.approved",
        "approval.executed",
    ]
    assert [action.operator_id for action in trail] == [wang.id, li.id, None]


async def test_nobody_decides_on_their_own_proposal(office: Office) -> None:
    wang, li = await office.hire("wang", Role.ADMIN), await office.hire("li", Role.ADMIN)
    approval = await office.propose(wang)
    refused(await office.decide(approve, approval, wang), "four_eyes")
    refused(await office.decide(reject, approval, wang), "four_eyes")
    refused(await office.decide(withdraw, approval, li), "not_your_proposal")
    for verb in (approve, reject, withdraw):
        refused(await office.decide(verb, approval, None), "operator_required")
    new = NewApproval(kind=ApprovalKind.CLOSING, subject=CARD, payload={}, reason="x", ttl_s=60)
    result = await propose(
        office.pool, office.clock, office.ids, book_id=office.book.id, new=new, by=Actor(office.ids.new())
    )
    refused(result, "operator_required")
    result = await propose(
        office.pool, office.clock, office.ids, book_id=office.other.id, new=new, by=Actor(operator_id=wang.id)
    )
    refused(result, "not_found", "operator_id")
    assert await office.status(approval) is ApprovalStatus.PROPOSED
    assert await office.listed() == [approval.id]


async def test_the_database_itself_keeps_four_eyes(office: Office) -> None:
    wang = await office.hire("wang")
    approval = await office.propose(wang)
    for statement in (
        "UPDATE parties_approval SET status = 'approved', decided_by = proposed_by, decided_at = now() WHERE id = %s",
        "UPDATE parties_approval SET status = 'approved' WHERE id = %s",
        "UPDATE parties_approval SET executed_at = now() WHERE id = %s",
    ):
        with pytest.raises(Exception, match="violates check constraint"):
            async with office.pool.connection() as connection:
                await connection.execute(statement, (approval.id,))
    for statement in (
        "UPDATE parties_approval SET payload = '{}' WHERE id = %s",
        "UPDATE parties_approval SET proposed_by = id WHERE id = %s",
        "DELETE FROM parties_approval WHERE id = %s",
    ):
        with pytest.raises(Exception, match="permission denied"):
            async with office.pool.connection() as connection:
                await connection.execute(statement, (approval.id,))
    assert await office.status(approval) is ApprovalStatus.PROPOSED


@pytest.mark.parametrize("end", ["rejected", "withdrawn", "expired", "executed"])
async def test_what_is_over_stays_over(office: Office, end: str) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    approval = await office.propose(wang)
    if end == "rejected":
        assert isinstance(await office.decide(reject, approval, li), Approval)
    elif end == "withdrawn":
        assert isinstance(await office.decide(withdraw, approval, wang), Approval)
    elif end == "expired":
        assert isinstance(await office.decide(approve, approval, li), Approval)
        office.clock.move(timedelta(hours=2))
    else:
        assert isinstance(await office.decide(approve, approval, li), Approval)
        assert isinstance(await office.claim(approval), Approval)
    before = await get_approval(office.pool, book_id=office.book.id, id_=approval.id)
    for verb, who in ((approve, li), (reject, li), (withdraw, wang)):
        over = refused(await office.decide(verb, approval, who), "approval_not_open")
        assert end in over.message("en")
    refused(await office.claim(approval), "approval_not_approved", "approval_id")
    assert await get_approval(office.pool, book_id=office.book.id, id_=approval.id) == before
    assert await office.status(approval) == end


async def test_an_approved_proposal_can_be_taken_back(office: Office) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    approval = await office.approved(wang, li)
    taken = await office.decide(withdraw, approval, wang)
    assert isinstance(taken, Approval)
    assert (taken.status, taken.decided_by) == (ApprovalStatus.WITHDRAWN, li.id)
    refused(await office.claim(approval), "approval_not_approved", "approval_id")


async def test_only_what_was_approved_is_done(office: Office) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    approval = await office.approved(wang, li)
    for other in (
        {"kind": ApprovalKind.CLOSING},
        {"subject": "card_" + "1" * 32},
        {"payload": {**PAYLOAD, "amount_fen": -501}},
        {"payload": {**PAYLOAD, "more": None}},
    ):
        refused(await office.claim(approval, **other), "approval_for_something_else", "approval_id")
    refused(await office.claim(approval, book_id=office.other.id), "not_found", "approval_id")
    assert await office.status(approval) is ApprovalStatus.APPROVED
    assert len(await office.trail(approval)) == 2


async def test_a_deed_that_fails_gives_its_approval_back(office: Office) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    approval = await office.approved(wang, li)
    assert isinstance(await office.claim(approval, fail=True), Approval)
    assert await office.status(approval) is ApprovalStatus.APPROVED
    assert len(await office.trail(approval)) == 2
    assert isinstance(await office.claim(approval), Approval)


async def test_many_who_claim_at_once_do_it_once(office: Office) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    approval = await office.approved(wang, li)
    results = await asyncio.gather(*(office.claim(approval) for _ in range(12)))
    assert sum(isinstance(result, Approval) for result in results) == 1
    assert {result.code for result in results if isinstance(result, Refusal)} == {"approval_not_approved"}


async def test_two_who_decide_at_once_are_one_decision(office: Office) -> None:
    wang = await office.hire("wang")
    others = [await office.hire(f"approver {number}", Role.APPROVER) for number in range(6)]
    for _ in range(5):
        approval = await office.propose(wang)
        verbs = [approve, reject] * 3
        results = await asyncio.gather(
            *(office.decide(verb, approval, who) for verb, who in zip(verbs, others, strict=True))
        )
        (winner,) = [result for result in results if isinstance(result, Approval)]
        assert {result.code for result in results if isinstance(result, Refusal)} == {"approval_not_open"}
        assert await get_approval(office.pool, book_id=office.book.id, id_=approval.id) == winner
        assert len(await office.trail(approval)) == 2


async def test_proposals_are_listed_as_they_are_now(office: Office) -> None:
    wang, li = await office.hire("wang"), await office.hire("li", Role.APPROVER)
    brief = await office.propose(wang, ttl_s=60)
    lasting = await office.propose(wang)
    approved = await office.approved(wang, li)
    assert await office.listed() == [approved.id, lasting.id, brief.id]
    assert await office.listed(status=ApprovalStatus.PROPOSED) == [lasting.id, brief.id]
    office.clock.move(timedelta(minutes=2))
    assert await office.listed(status=ApprovalStatus.PROPOSED) == [lasting.id]
    assert await office.listed(status=ApprovalStatus.EXPIRED) == [brief.id]
    assert await expire_approvals(office.pool, now=office.clock.now()) >= 1
    assert await office.listed(status=ApprovalStatus.EXPIRED) == [brief.id]
    assert await office.listed(status=ApprovalStatus.APPROVED) == [approved.id]
    assert await office.listed(subject=CARD, kind=ApprovalKind.ADJUSTMENT, limit=1) == [approved.id]
    assert await office.listed(kind=ApprovalKind.CLOSING) == []
    assert await office.listed(proposed_by=li.id) == []
    office.book = office.other
    assert await office.listed() == []
    refused(await get_approval(office.pool, book_id=office.book.id, id_=brief.id), "not_found", "id")
