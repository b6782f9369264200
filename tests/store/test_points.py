"""Points on a real database: earned, matured, spent, expired, taken back, adjusted, exchanged; what is outstanding."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from tests.conftest import make_database
from tests.town import KEYRING, HandClock, Town, audits_hold

from kaquan import cards, points
from kaquan.cards import NewProgramme, Pocket
from kaquan.kit.db import Connection
from kaquan.kit.ids import Prefix, SystemIds, show_id
from kaquan.kit.outcomes import Refusal
from kaquan.ledger import Answer, Item, Posting, PostStatus, RequestKey, hash_key, post_batch, slot_of
from kaquan.parties.outcomes import APPROVAL_NOT_APPROVED
from kaquan.parties.staff import ApprovalKind, NewApproval, Role, approve, claim_approval, create_operator, propose
from kaquan.parties.trail import Actor
from kaquan.points import (
    Bought,
    BoughtLine,
    ClawbackMode,
    Deed,
    EarningRule,
    Member,
    NewBenefit,
    NewPartner,
    PointsMove,
    PointsTerms,
    Tender,
    TermsVersion,
    TierRule,
    jobs,
)

SLOTS = (3, 17, 40, 62)


@pytest.fixture(scope="module")
def own_database(server: str) -> str:
    return make_database(server, f"test_points_{os.getpid()}", SLOTS)


class HandIds(SystemIds):
    """Ids of the hand clock's time: what is asked as of a moment is looked for by them."""

    def __init__(self, clock: HandClock) -> None:
        super().__init__()
        self._clock = clock

    def _next(self) -> int:
        return super()._next() & (1 << 80) - 1 | int(self._clock.at.timestamp() * 1_000) << 80


class Club:
    """A town whose cards collect points; purchases are posted as payments does it."""

    def __init__(self, town: Town, clock: HandClock) -> None:
        self.town, self.clock, self.app = town, clock, town.apps[0]
        town.ids = self.ids = HandIds(clock)
        self.pool, self.hand = self.app.pool, town.hand()
        self.people: dict[str, Actor] = {}
        self.args: dict[str, Any] = {"book_id": town.book_id, "slots": SLOTS}

    async def set_terms(self, **changes: Any) -> TermsVersion:
        told = {
            "rules": (EarningRule(name="base", points=1, per_fen=100),),
            "pending_days": 7,
            "valid_days": 100,
            "spend_points": 100,
            "spend_fen": 100,
            **changes,
        }
        made = await points.set_terms(
            self.pool, self.clock, self.ids, book_id=self.town.book_id, programme_id=self.town.programme.id,
            terms=PointsTerms(**told),
        )  # fmt: skip
        assert not isinstance(made, Refusal), made
        return made

    async def member(self, card_id: UUID) -> tuple[Member, TermsVersion, str]:
        found = await points.find_member(self.pool, self.clock, **self.args, card_id=card_id)
        assert not isinstance(found, Refusal), found
        return found

    async def post(self, connection: Connection, card_id: UUID, id_: UUID, kind: str, move: PointsMove) -> None:
        now = self.clock.now()
        posting = Posting(id_, kind, now, move.legs, move.guards, move.lots)
        item = Item(self.town.book_id, posting)
        told = await post_batch(connection, [item], slot=slot_of(card_id, SLOTS), recorded_at=now)
        assert told == [PostStatus.APPLIED]

    async def buy(self, card_id: UUID, *fen: int) -> UUID:
        """A purchase with these lines; the id of its transaction."""
        member, version, zone = await self.member(card_id)
        local = self.clock.now().astimezone(UTC)
        lines = [BoughtLine(n, frozenset(), one) for n, one in enumerate(fen, start=1)]
        bought = Bought(local, self.town.places[0].merchant_id, self.town.places[0].store_id, None, lines, member.tier)
        earned = points.price_points(version.terms, bought)
        id_ = self.ids.new_near(card_id)
        async with self.pool.connection() as connection, connection.transaction():
            issuer = await points.open_issuer_accounts(
                connection, book_id=self.town.book_id, slot=member.slot, issuer_id=member.issuer_id
            )
            move, earning = points.plan_earning(
                version.terms, version.version, earned, member, issuer, transaction_id=id_, at=self.clock.now(),
                time_zone=zone,
            )  # fmt: skip
            await self.post(connection, card_id, id_, "points_earning", move)
            await points.keep_earnings(connection, [earning])
        return id_

    async def refund(self, card_id: UUID, purchase: UUID, returned: dict[int, int]) -> points.Clawback:
        member, version, _ = await self.member(card_id)
        async with self.pool.connection() as connection, connection.transaction():
            issuer = await points.open_issuer_accounts(
                connection, book_id=self.town.book_id, slot=member.slot, issuer_id=member.issuer_id
            )
            (kept,) = (await points.read_earnings(connection, slot=member.slot, ids=[purchase]))[purchase]
            told = points.plan_clawback(version.terms, kept, returned, member, issuer)
            if told.move.legs:
                await self.post(connection, card_id, self.ids.new_near(card_id), "points_clawback", told.move)
            assert await points.change_earning(connection, kept, told.after)
            if told.points:
                assert not await points.change_earning(connection, kept, told.after), "it is not as it was"
        return told

    async def spend(self, card_id: UUID, wanted: int, payable_fen: int) -> Tender:
        member, version, _ = await self.member(card_id)
        async with self.pool.connection() as connection, connection.transaction():
            issuer = await points.open_issuer_accounts(
                connection, book_id=self.town.book_id, slot=member.slot, issuer_id=member.issuer_id
            )
            told = points.plan_tender(
                version.terms, member, issuer, points=wanted, payable_fen=payable_fen, now=self.clock.now()
            )
            assert not isinstance(told, Refusal), told
            await self.post(connection, card_id, self.ids.new_near(card_id), "points_spending", told.move)
        return told

    async def standing(self, card_id: UUID) -> tuple[int, int, int]:
        """To spend, waiting, owed."""
        told = await points.get_standing(self.pool, self.clock, **self.args, card_id=card_id)
        assert not isinstance(told, Refusal)
        return told.spendable, told.pending, told.owed

    async def outstanding(self, at: datetime | None = None) -> int:
        told = await points.report_points(self.pool, **self.args, at=at or self.clock.now())
        return told.outstanding

    async def mature(self) -> int:
        return await points.mature_points(self.pool, self.clock, self.ids, slots=SLOTS)

    async def expire(self) -> int:
        return await points.expire_points(self.pool, self.clock, self.ids, slots=SLOTS)

    def keyed(self, name: str | None = None) -> dict[str, Any]:
        name = name or self.ids.new().hex
        self.clock.move(timedelta(milliseconds=2))
        return {
            "key": RequestKey(name, hash_key(self.town.book_id, name), bytes(32)),
            "render": lambda deed: Answer(201, deed.id.hex.encode()),
        }

    async def adjust(self, card_id: UUID, by: int, **how: Any) -> Answer | Refusal:
        """An adjustment as two wanted it."""
        li, wang = [await self.operator(code) for code in ("li", "wang")]
        subject, payload = show_id(Prefix.CARD, card_id), {"points": by}
        told: dict[str, Any] = {"kind": ApprovalKind.POINTS_ADJUSTMENT, "subject": subject, "payload": payload}
        args = (self.pool, self.clock, self.ids)
        new = NewApproval(**told, reason="r", ttl_s=3_600)
        proposed = await propose(*args, book_id=self.town.book_id, new=new, by=li)
        assert not isinstance(proposed, Refusal)
        await approve(*args, book_id=self.town.book_id, id_=proposed.id, by=wang)

        async def claim(connection: Connection) -> Refusal | None:
            claimed = await claim_approval(
                connection, self.clock, self.ids, book_id=self.town.book_id, id_=proposed.id, by=li, **told
            )
            return claimed if isinstance(claimed, Refusal) else None

        how = {"approve": claim, **how}
        return await points.adjust_points(
            self.pool, self.hand, **self.args, card_id=card_id, points=by, note="补积分", approval_id=proposed.id,
            by=li, **how, **self.keyed(),
        )  # fmt: skip

    async def operator(self, code: str) -> Actor:
        if code not in self.people:
            made = await create_operator(
                self.pool,
                self.clock,
                self.ids,
                book_id=self.town.book_id,
                code=code,
                name=code,
                roles=frozenset({Role.ADMIN}),
            )
            assert not isinstance(made, Refusal)
            self.people[code] = Actor(operator_id=made.id)
        return self.people[code]

    async def deeds(self, card_id: UUID) -> list[Deed]:
        page = await points.list_deeds(self.pool, **self.args, card_id=card_id, after_id=None, limit=50)
        return page.data

    async def notices(self, card_id: UUID) -> list[str]:
        query = "SELECT event FROM notices_notice WHERE card_id = %s ORDER BY id"
        async with self.pool.connection() as connection:
            return [name for (name,) in await (await connection.execute(query, (card_id,))).fetchall()]


@pytest.fixture
async def club(own_database: str) -> AsyncIterator[Club]:
    clock = HandClock(datetime(2026, 3, 1, 9, 30, tzinfo=UTC))
    town = await Town.found(own_database, clock=clock, slots=SLOTS)
    made = Club(town, clock)
    await made.set_terms()
    yield made
    await town.close()


def code_of(refused: object) -> str:
    assert isinstance(refused, Refusal), refused
    assert refused.message()
    assert refused.message("zh")
    return refused.code


async def test_points_wait_mature_are_spent_and_expire(club: Club) -> None:
    card = await club.town.new_card(load_fen=1_000)
    before = await club.town.held(card)
    start = club.clock.now()
    await club.buy(card, 12_050, 8_000)
    assert await club.standing(card) == (0, 200, 0)
    assert await club.mature() == 0
    club.clock.at = datetime(2026, 3, 8, 15, 59, 59, tzinfo=UTC)
    assert await club.mature() == 0
    club.clock.at = datetime(2026, 3, 8, 16, 0, tzinfo=UTC)  # the end of the 7th day, in Shanghai
    assert await club.mature() == 1
    assert await club.mature() == 0
    assert await club.standing(card) == (200, 0, 0)

    assert (await club.spend(card, 120, 10_000)).amount_fen == 120
    assert await club.standing(card) == (80, 0, 0)
    assert await club.outstanding() == 80
    assert await club.outstanding(start) == 0

    club.clock.at = datetime(2026, 5, 20, 0, 0, tzinfo=UTC)
    assert await points.remind_of_points(club.pool, club.clock, club.ids, slots=SLOTS) == 1
    assert await points.remind_of_points(club.pool, club.clock, club.ids, slots=SLOTS) == 0, "once"
    club.clock.at = datetime(2026, 6, 9, 15, 59, tzinfo=UTC)  # 100 days after the day of the purchase
    assert await club.expire() == 0
    club.clock.at = datetime(2026, 6, 9, 16, 0, tzinfo=UTC)
    assert await club.expire() == 1
    assert await club.standing(card) == (0, 0, 0)
    told = await points.report_points(club.pool, **club.args, at=club.clock.now())
    assert (told.outstanding, told.granted, told.spent, told.expired) == (0, 200, 120, 80)
    assert await club.notices(card) == ["points.matured", "points.expiring", "points.expired"]
    assert await club.town.held(card) == before, "no money moved"


@pytest.mark.parametrize(
    ("mode", "standing", "from_refund"),
    [(ClawbackMode.DEBT, (0, 0, 60), 0), (ClawbackMode.ZERO, (0, 0, 0), 0), (ClawbackMode.REFUND, (0, 0, 0), 60)],
)
async def test_a_refund_takes_back_what_it_earned(
    club: Club, mode: ClawbackMode, standing: tuple[int, int, int], from_refund: int
) -> None:
    await club.set_terms(pending_days=0, clawback=mode)
    card = await club.town.new_card()
    purchase = await club.buy(card, 6_000, 4_000)
    assert await club.standing(card) == (100, 0, 0)
    part = await club.refund(card, purchase, {1: 1_500})
    assert (part.points, await club.standing(card)) == (15, (85, 0, 0))
    await club.spend(card, 60, 10_000)
    whole = await club.refund(card, purchase, {1: 4_500, 2: 4_000})
    assert (whole.points, whole.from_refund_fen) == (85, from_refund)
    assert await club.standing(card) == standing
    assert (await club.refund(card, purchase, {1: 9_999})).points == 0, "nothing is taken back twice"
    # what is earned next pays what is owed
    await club.buy(card, 10_000)
    assert await club.standing(card) == (100 - standing[2], 0, 0)


async def test_a_refund_in_the_waiting_time_takes_what_waits(club: Club) -> None:
    card = await club.town.new_card()
    kept = await club.buy(card, 5_000)
    purchase = await club.buy(card, 3_000)
    assert (await club.refund(card, purchase, {1: 1_000})).points == 10
    assert await club.standing(card) == (0, 70, 0)
    club.clock.move(timedelta(days=8))
    assert await club.mature() == 2
    assert await club.standing(card) == (70, 0, 0)
    assert (await club.refund(card, kept, {1: 5_000})).points == 50
    assert await club.standing(card) == (20, 0, 0)


async def test_tiers_rise_at_once_and_fall_late(club: Club) -> None:
    tiers = (TierRule(name="银", least=100), TierRule(name="金", least=500))
    await club.set_terms(tiers=tiers, tier_window_days=30, tier_keep_days=60, pending_days=0, valid_days=None)
    card = await club.town.new_card()

    async def assess() -> str | None:
        await points.renew_tiers(club.pool, club.clock, club.ids, slots=SLOTS)
        return (await club.member(card))[0].tier

    await club.buy(card, 9_999)
    assert await assess() is None
    await club.buy(card, 100)
    assert await assess() == "银", "99 and 1"
    big = await club.buy(card, 50_000)
    assert await assess() == "金"
    await club.refund(card, big, {1: 50_000})
    assert await assess() == "金", "it stays for its time"
    club.clock.move(timedelta(days=20))
    await club.buy(card, 10_000)
    club.clock.move(timedelta(days=25))
    assert await assess() == "金"
    club.clock.move(timedelta(days=16))
    assert await assess() is None, "nothing in the last 30 days"
    assert (await club.notices(card)).count("tier.changed") == 3


async def test_two_adjust_points(club: Club) -> None:
    card = await club.town.new_card()
    assert isinstance(await club.adjust(card, 300), Answer)
    assert await club.standing(card) == (300, 0, 0)
    assert code_of(await club.adjust(card, -301)) == "points_too_few"

    async def refuse(connection: Connection) -> Refusal | None:
        return APPROVAL_NOT_APPROVED.refuse("approval_id", status="proposed")

    assert code_of(await club.adjust(card, -100, approve=refuse)) == "approval_not_approved"
    assert await club.standing(card) == (300, 0, 0)
    assert isinstance(await club.adjust(card, -100), Answer)
    assert await club.standing(card) == (200, 0, 0)
    assert [(deed.kind.value, deed.points) for deed in await club.deeds(card)] == [
        ("adjustment", -100), ("adjustment", 300),
    ]  # fmt: skip
    at_once = await asyncio.gather(*(club.adjust(card, -150) for _ in range(3)))
    assert sum(isinstance(one, Answer) for one in at_once) == 1, "never through zero"
    assert await club.standing(card) == (50, 0, 0)


async def test_an_exchange_moves_both_books(club: Club) -> None:
    card = await club.town.new_card()
    await club.adjust(card, 1_000)
    partner = await points.create_partner(
        club.pool, club.clock, club.ids, book_id=club.town.book_id,
        new=NewPartner(code="air", name="航空公司", currency="MIL", out_points=10, out_units=3, in_units=100,
                       in_points=50),
    )  # fmt: skip
    assert not isinstance(partner, Refusal)

    async def exchange(name: str | None = None, **how: Any) -> Answer | Refusal:
        told = {"partner_id": partner.id, "card_id": card, "reference": club.ids.new().hex, **how}
        return await points.exchange_points(club.pool, club.hand, **club.args, **told, **club.keyed(name))

    assert isinstance(await exchange(points=700), Answer)
    assert await club.standing(card) == (300, 0, 0)
    assert code_of(await exchange(points=701)) == "points_exchange_not_whole"
    assert code_of(await exchange(points=310)) == "points_too_few"
    assert isinstance(await exchange(units=400, reference="R1"), Answer)
    assert code_of(await exchange(units=400, reference="R1")) == "points_exchange_known", "their reference counts once"
    assert code_of(await exchange(units=400, reference="R2", partner_id=club.ids.new())) == "not_found"
    assert await club.standing(card) == (500, 0, 0)
    mine, theirs = await club.town.held(club.town.issuer.id), await club.town.held(partner.id)
    assert theirs["points_exchanged"].posted_fen == 500, "what our book owes less for"
    assert (mine["partner_points"].posted_fen, theirs["partner_points"].posted_fen) == (190, -190)
    deeds = [(deed.kind.value, deed.points, deed.units) for deed in await club.deeds(card)]
    assert deeds[:2] == [("exchange_in", 200, 400), ("exchange_out", -700, 210)]
    assert await club.outstanding() == 500
    await club.town.block(card)
    assert code_of(await exchange(points=10)) == "card_blocked"


async def test_benefits_are_taken_as_often_as_they_may(club: Club) -> None:
    await club.set_terms(tiers=(TierRule(name="金", least=1),), pending_days=0)
    card, other = await club.town.new_card(), await club.town.new_card()
    for one in (card, other):
        await club.adjust(one, 100)

    async def benefit(**changes: Any) -> points.Benefit:
        told = {"code": club.ids.new().hex, "name": "停车券", "cost_points": 30, **changes}
        made = await points.create_benefit(
            club.pool, club.clock, club.ids, book_id=club.town.book_id,
            new=NewBenefit(programme_id=club.town.programme.id, **told),
        )  # fmt: skip
        assert not isinstance(made, Refusal)
        return made

    async def take(of: points.Benefit, by: UUID = card, birth_month: int | None = None) -> Answer | Refusal:
        return await points.take_benefit(
            club.pool, club.hand, **club.args, card_id=by, benefit_id=of.id, birth_month=birth_month, **club.keyed()
        )

    scarce = await benefit(stock=2)
    told = await asyncio.gather(*(take(scarce, by) for by in (card, card, other, other)))
    assert sum(isinstance(one, Answer) for one in told) == 2
    assert {code_of(one) for one in told if isinstance(one, Refusal)} == {"points_benefit_gone"}
    yearly = await benefit(max_per_year=1, cost_points=0, birthday_only=True)
    assert code_of(await take(yearly, birth_month=4)) == "points_benefit_not_for_member"
    told = await asyncio.gather(*(take(yearly, birth_month=3) for _ in range(3)))
    assert sum(isinstance(one, Answer) for one in told) == 1
    club.clock.move(timedelta(days=365))
    assert isinstance(await take(yearly, birth_month=3), Answer), "another year"
    golden = await benefit(tiers=frozenset({"金"}))
    assert code_of(await take(golden)) == "points_benefit_not_for_member"
    assert code_of(await take(await benefit(cost_points=101))) == "points_too_few"


async def test_holders_are_told_whatever_stands_before_them(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lots that end soon, and of which their programme wants nothing told yet, are in nobody's way."""
    monkeypatch.setattr(jobs, "CHUNK", 2)
    silent = await cards.create_programme(
        club.pool, club.clock, club.ids, book_id=club.town.book_id,
        new=NewProgramme(
            issuer_id=club.town.issuer.id, code="silent", name="静", currency="CNY", number_prefix="888802",
            spend_order=(Pocket.BONUS, Pocket.PRINCIPAL), max_balance_fen=None, authorization_ttl_s=3_600,
            principal_valid_days=None, bonus_valid_days=None,
        ),
    )  # fmt: skip
    assert not isinstance(silent, Refusal)
    told = club.town.programme
    await club.set_terms(valid_days=40, remind_days=30)
    card = await club.town.new_card()
    await club.adjust(card, 7)
    club.town.programme = silent
    await club.set_terms(valid_days=20, remind_days=0)
    quiet = [await club.town.new_card() for _ in range(5)]
    for one in quiet:
        await club.adjust(one, 5)
    club.town.programme = told
    club.clock.move(timedelta(days=12))
    assert await points.remind_of_points(club.pool, club.clock, club.ids, slots=SLOTS) == 1
    assert "points.expiring" in await club.notices(card)
    assert not [one for one in quiet if "points.expiring" in await club.notices(one)]
    # terms that want it told earlier are those of now
    club.town.programme = silent
    await club.set_terms(valid_days=20, remind_days=15)
    club.town.programme = told
    assert await points.remind_of_points(club.pool, club.clock, club.ids, slots=SLOTS) == 5
    assert await points.remind_of_points(club.pool, club.clock, club.ids, slots=SLOTS) == 0


async def test_sessions_at_once_make_a_card_a_member_once(club: Club, own_database: str) -> None:
    """Payments of one card that arrive together at two servers. Their sessions begin each statement together."""
    made = [SystemIds().new() for _ in range(400)]
    slot, programme, issuer = SLOTS[0], club.town.programme.id, club.town.programme.issuer_id
    together = asyncio.Barrier(4)

    async def open_all() -> None:
        async with await psycopg.AsyncConnection.connect(own_database, autocommit=True) as connection:
            for card_id in made:
                await together.wait()
                async with connection.transaction():
                    await points.open_members(
                        connection, book_id=club.town.book_id, slot=slot, at=club.clock.now(),
                        cards=[(points.member_id(card_id), card_id, programme, issuer)],
                    )  # fmt: skip

    await asyncio.gather(*(open_all() for _ in range(4)))
    with psycopg.connect(own_database) as owner:
        rows = owner.execute("SELECT id FROM points_member WHERE card_id = ANY (%s)", (made,)).fetchall()
    assert sorted(id_ for (id_,) in rows) == sorted(points.member_id(card_id) for card_id in made)


async def test_points_follow_a_card_that_was_replaced(club: Club) -> None:
    card = await club.town.new_card()
    await club.adjust(card, 300)
    await club.adjust(card, 200)
    purchase = await club.buy(card, 5_000)
    done = await cards.replace_card(
        club.pool, club.hand, cards.Press(KEYRING, SLOTS, club.ids), **club.args, card_id=card, reason="磨损"
    )
    assert not isinstance(done, Refusal)
    new = done.new.id

    async def follow() -> int:
        return await points.follow_replacements(club.pool, club.clock, club.ids, slots=SLOTS)

    assert await follow() == 1
    assert await follow() == 0
    assert [await club.standing(one) for one in (card, new)] == [(0, 50, 0), (500, 0, 0)]
    club.clock.move(timedelta(days=8))
    await club.mature()
    assert await follow() == 1
    assert [await club.standing(one) for one in (card, new)] == [(0, 0, 0), (550, 0, 0)]
    assert (await club.refund(card, purchase, {1: 5_000})).owed == 50
    assert await follow() == 1
    assert await club.standing(new) == (550, 0, 50)
    await club.buy(new, 6_000)
    assert await club.standing(new) == (550, 10, 0), "what is earned next pays it"


async def test_terms_are_versions(club: Club) -> None:
    later = club.clock.now() + timedelta(days=1)
    how: dict[str, Any] = {"book_id": club.town.book_id, "programme_id": club.town.programme.id}
    twice = PointsTerms(rules=(EarningRule(name="double", points=2, per_fen=100),))
    made = await points.set_terms(club.pool, club.clock, club.ids, **how, terms=twice, effective_from=later)
    assert not isinstance(made, Refusal)
    assert (made.version, made.effective_from) == (2, later)
    versions = (await points.load_all_terms(club.pool, book_ids=[club.town.book_id]))[club.town.book_id][
        club.town.programme.id
    ]
    in_force = [points.terms_at(versions, at) for at in (later - timedelta(days=9), club.clock.now(), later)]
    assert [None if one is None else one.version for one in in_force] == [None, 1, 2]
    refused = await points.set_terms(club.pool, club.clock, club.ids, **how, terms=twice)
    assert (code_of(refused), len(await points.list_terms(club.pool, **how))) == ("invalid_field", 2)
    how["programme_id"] = club.ids.new()
    assert code_of(await points.set_terms(club.pool, club.clock, club.ids, **how, terms=twice)) == "not_found"
    unknown = await points.get_standing(club.pool, club.clock, **club.args, card_id=club.ids.new())
    assert code_of(unknown) == "not_found"


async def test_every_audit_holds(club: Club, own_database: str) -> None:
    """After all that the tests above did."""
    await audits_hold(own_database)
