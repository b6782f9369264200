"""Campaigns in a real database: drafted, published by two, in force by time, changed by versions, ended."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.town import HandClock, Town
from tests.unit.promotion_facts import basket, off, percent

from kaquan import promotions
from kaquan.kit.db import Connection
from kaquan.kit.ids import Prefix, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.parties.staff import (
    Approval,
    ApprovalKind,
    NewApproval,
    Operator,
    Role,
    approve,
    claim_approval,
    create_operator,
    propose,
)
from kaquan.parties.trail import Actor
from kaquan.promotions import (
    CampaignBook,
    CampaignSearch,
    CampaignStatus,
    CampaignTerms,
    Hand,
    KeptCampaign,
    StackingPolicy,
    price_basket,
)


@pytest.fixture
async def town(database: str) -> AsyncIterator[Town]:
    made = await Town.found(database, clock=HandClock())
    yield made
    await made.close()


def hand(town: Town) -> Hand:
    return Hand(town.apps[0].clock, town.ids)


def terms(town: Town, **told: Any) -> CampaignTerms:
    """满100减10 in March 2026: the town's clock stands on 1 March."""
    defaults: dict[str, Any] = {
        "code": "MARCH",
        "name": "三月",
        "issuer_id": town.programme.issuer_id,
        "starts_at": datetime.fromisoformat("2026-03-02T00:00"),
        "ends_at": datetime.fromisoformat("2026-04-01T00:00"),
        "offers": (off(),),
        "control_bp": 0,
    }
    return CampaignTerms(**(defaults | told))


async def create(town: Town, **told: Any) -> KeptCampaign:
    made = await promotions.create_campaign(
        town.apps[0].pool, hand(town), book_id=town.book_id, terms=terms(town, **told)
    )
    assert isinstance(made, KeptCampaign), made
    return made


async def publish(town: Town, campaign: KeptCampaign, **how: Any) -> KeptCampaign | Refusal:
    return await promotions.publish_campaign(
        town.apps[0].pool,
        hand(town),
        book_id=town.book_id,
        id_=campaign.id,
        version=how.pop("version", campaign.newest.version),
        **how,
    )


async def get(town: Town, campaign: KeptCampaign) -> KeptCampaign:
    found = await promotions.get_campaign(town.apps[0].pool, book_id=town.book_id, id_=campaign.id)
    assert isinstance(found, KeptCampaign)
    return found


async def discount(book: CampaignBook, town: Town, when: str) -> int:
    await book.refresh()
    at = datetime.fromisoformat(when)
    return price_basket(book.get(town.book_id, town.issuer.id), basket(100_00, local=at)).discount_fen


async def test_a_campaign_is_a_draft_until_it_is_published_and_in_force_within_its_time(town: Town) -> None:
    book = CampaignBook(town.apps[0].pool)
    made = await create(town)
    now = town.apps[0].clock.now()
    assert (await get(town, made)) == made
    assert made.status_at(now) is CampaignStatus.DRAFT
    assert await discount(book, town, "2026-03-05T12:00") == 0
    done = await publish(town, made)
    assert isinstance(done, KeptCampaign)
    assert (await get(town, made)) == done
    assert done.status_at(now) is CampaignStatus.SCHEDULED
    assert done.status_at(now + timedelta(days=2)) is CampaignStatus.LIVE
    assert done.status_at(now + timedelta(days=40)) is CampaignStatus.ENDED
    assert [await discount(book, town, f"2026-0{day}T12:00") for day in ("3-01", "3-05", "4-01")] == [0, 10_00, 0]
    again = await publish(town, done)
    assert isinstance(again, Refusal)
    assert again.code == "campaign_not_in_state"


async def test_a_version_follows_another_and_each_is_kept(town: Town) -> None:
    book = CampaignBook(town.apps[0].pool)
    made = await create(town)
    await publish(town, made)
    better = terms(town, offers=(off(off_fen=20_00),))
    changed = await promotions.change_campaign(
        town.apps[0].pool, hand(town), book_id=town.book_id, id_=made.id, terms=better
    )
    assert isinstance(changed, KeptCampaign)
    assert await discount(book, town, "2026-03-05T12:00") == 10_00
    stale = await publish(town, made)
    assert isinstance(stale, Refusal)
    assert (stale.code, stale.details) == ("campaign_changed", {"version": 2})
    assert isinstance(await publish(town, changed), KeptCampaign)
    assert await discount(book, town, "2026-03-05T12:00") == 20_00
    versions = await promotions.list_versions(town.apps[0].pool, book_id=town.book_id, id_=made.id)
    assert not isinstance(versions, Refusal)
    assert [(one.version, one.terms) for one in versions] == [(2, better), (1, made.newest.terms)]
    one = await promotions.get_version(town.apps[0].pool, book_id=town.book_id, id_=made.id, version=1)
    assert one == versions[1]
    same = await promotions.change_campaign(
        town.apps[0].pool, hand(town), book_id=town.book_id, id_=made.id, terms=better
    )
    assert isinstance(same, KeptCampaign)
    assert same.newest.version == 2


async def test_what_is_ended_gives_nothing_any_more(town: Town) -> None:
    book = CampaignBook(town.apps[0].pool)
    made = await create(town)
    await publish(town, made)
    ended = await promotions.end_campaign(town.apps[0].pool, hand(town), book_id=town.book_id, id_=made.id)
    assert isinstance(ended, KeptCampaign)
    assert await discount(book, town, "2026-03-05T12:00") == 0
    for again in (
        await promotions.end_campaign(town.apps[0].pool, hand(town), book_id=town.book_id, id_=made.id),
        await promotions.change_campaign(
            town.apps[0].pool, hand(town), book_id=town.book_id, id_=made.id, terms=terms(town, name="四月")
        ),
    ):
        assert isinstance(again, Refusal)
        assert again.code == "campaign_not_in_state"
    assert (await get(town, made)).newest.version == 1


async def test_one_approval_publishes_one_version_and_only_what_was_approved(town: Town) -> None:
    app = town.apps[0]
    people = []
    for role in (Role.OPERATOR, Role.APPROVER):
        person = await create_operator(
            app.pool, app.clock, town.ids, book_id=town.book_id, code=town.ids.new().hex, name="n",
            roles=frozenset({role}),
        )  # fmt: skip
        assert isinstance(person, Operator)
        people.append(Actor(operator_id=person.id))
    made = await create(town)
    payload = {"version": 1}
    subject = show_id(Prefix.CAMPAIGN, made.id)
    new = NewApproval(kind=ApprovalKind.CAMPAIGN, subject=subject, payload=payload, reason="上线", ttl_s=3_600)
    proposed = await propose(app.pool, app.clock, town.ids, book_id=town.book_id, new=new, by=people[0])
    assert isinstance(proposed, Approval)

    def claiming(told: Any) -> Any:
        async def claim(connection: Connection) -> Refusal | None:
            claimed = await claim_approval(
                connection, app.clock, town.ids, book_id=town.book_id, id_=proposed.id, kind=ApprovalKind.CAMPAIGN,
                subject=subject, payload=told, by=people[0],
            )  # fmt: skip
            return claimed if isinstance(claimed, Refusal) else None

        return claim

    early = await publish(town, made, approve=claiming(payload))
    assert isinstance(early, Refusal)
    assert early.code == "approval_not_approved"
    await approve(app.pool, app.clock, town.ids, book_id=town.book_id, id_=proposed.id, by=people[1])
    other = await publish(town, made, approve=claiming({"version": 2}))
    assert isinstance(other, Refusal)
    assert other.code == "approval_for_something_else"
    assert (await get(town, made)).published is None
    done = await asyncio.gather(*(publish(town, made, approve=claiming(payload)) for _ in range(4)))
    assert sum(isinstance(one, KeptCampaign) for one in done) == 1
    assert (await get(town, made)).published is not None


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"offers": (percent(off_bp=10_001),)}, "campaign_file_wrong"),
        ({"code": "X Y"}, "campaign_file_wrong"),
        ({"ends_at": datetime.fromisoformat("2026-03-02T00:00")}, "campaign_file_wrong"),
    ],
)
async def test_what_may_not_be_is_not_stored(town: Town, told: dict[str, Any], code: str) -> None:
    pool = town.apps[0].pool
    refused = await promotions.create_campaign(pool, hand(town), book_id=town.book_id, terms=terms(town, **told))
    assert isinstance(refused, Refusal)
    assert refused.code == code
    assert refused.details["also"]
    page = await promotions.list_campaigns(pool, book_id=town.book_id, search=CampaignSearch())
    assert page.data == []


async def test_a_code_is_one_campaigns_and_stays_so(town: Town) -> None:
    pool = town.apps[0].pool
    made = await create(town)
    for field, told in (("code", {"code": "APRIL"}), ("issuer_id", {"issuer_id": town.ids.new()})):
        refused = await promotions.change_campaign(
            pool, hand(town), book_id=town.book_id, id_=made.id, terms=terms(town, **told)
        )
        assert isinstance(refused, Refusal)
        assert (refused.code, refused.field) == ("invalid_field", field)
    taken = await promotions.create_campaign(pool, hand(town), book_id=town.book_id, terms=terms(town))
    nobody = await promotions.create_campaign(
        pool, hand(town), book_id=town.book_id, terms=terms(town, issuer_id=town.ids.new())
    )
    assert isinstance(taken, Refusal)
    assert isinstance(nobody, Refusal)
    assert (taken.code, nobody.code) == ("already_exists", "not_found")
    assert (await get(town, made)) == made


async def test_a_time_that_is_over_is_not_published(town: Town) -> None:
    over = {"starts_at": datetime.fromisoformat("2026-02-01"), "ends_at": datetime.fromisoformat("2026-03-01")}
    made = await create(town, **over)
    refused = await publish(town, made)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.field) == ("invalid_field", "ends_at")
    assert (await get(town, made)).published is None


async def test_another_book_sees_nothing(town: Town) -> None:
    pool = town.apps[0].pool
    made = await create(town)
    other = town.book_id + 1
    found = await promotions.get_campaign(pool, book_id=other, id_=made.id)
    assert isinstance(found, Refusal)
    assert found.code == "not_found"
    assert (await promotions.list_campaigns(pool, book_id=other, search=CampaignSearch())).data == []
    ended = await promotions.end_campaign(pool, hand(town), book_id=other, id_=made.id)
    assert isinstance(ended, Refusal)
    assert (await get(town, made)).ended_at is None


async def test_campaigns_are_listed_the_newest_first(town: Town) -> None:
    pool = town.apps[0].pool
    made = [await create(town, code=code) for code in ("A", "B", "C")]
    page = await promotions.list_campaigns(pool, book_id=town.book_id, search=CampaignSearch(limit=2))
    assert [one.code for one in page.data] == ["C", "B"]
    assert page.next_cursor is not None
    rest = CampaignSearch(limit=2, after_id=made[1].id)
    assert [one.code for one in (await promotions.list_campaigns(pool, book_id=town.book_id, search=rest)).data] == [
        "A"
    ]


async def test_the_stacking_policy_of_a_book_binds_from_its_change(town: Town) -> None:
    app, book = town.apps[0], CampaignBook(town.apps[0].pool)
    await publish(town, await create(town))
    assert await promotions.get_policy(app.pool, book_id=town.book_id) == StackingPolicy()
    for policy in (StackingPolicy(max_discount_fen=3_00), StackingPolicy(max_discount_fen=4_00)):
        done = await promotions.change_policy(app.pool, hand(town), book_id=town.book_id, policy=policy)
        assert done == policy
        assert await discount(book, town, "2026-03-05T12:00") == policy.max_discount_fen
    wrong = await promotions.change_policy(
        app.pool, hand(town), book_id=town.book_id, policy=StackingPolicy(max_discount_bp=10_001)
    )
    assert isinstance(wrong, Refusal)
    assert (wrong.code, wrong.field) == ("invalid_field", "max_discount_bp")
    assert await promotions.get_policy(app.pool, book_id=town.book_id) == StackingPolicy(max_discount_fen=4_00)


async def test_what_was_made_is_what_is_told(town: Town) -> None:
    made = await create(town, offers=(off(), percent("p", on_return=promotions.OnReturn.KEEP)))
    assert replace(await get(town, made), newest=made.newest) == made
    assert (await get(town, made)).newest.terms == made.newest.terms
