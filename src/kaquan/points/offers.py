"""Partners and benefits: create, get, list."""

from uuid import UUID

from kaquan.cards import get_programme
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import ALREADY_EXISTS, Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties.trail import SYSTEM, Actor, record_action
from kaquan.points import store
from kaquan.points.outcomes import invalid, missing
from kaquan.points.types import CURRENCY, Benefit, NewBenefit, NewPartner, Partner, Search


async def create_partner(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, new: NewPartner, by: Actor = SYSTEM
) -> Partner | Refusal:
    """A new partner. Refused: ``invalid_field`` (out_points, in_units, currency), ``already_exists`` (code)."""
    for one, other in (("out_points", "out_units"), ("in_units", "in_points")):
        if (getattr(new, one) is None) != (getattr(new, other) is None):
            return invalid(one, f"give {one} and {other}, or neither", allowed_zh=f"{one} 与 {other} 须同时给出")
    if new.currency == CURRENCY:
        return invalid("currency", f"must not be {CURRENCY}, ours", allowed_zh=f"不得为本方的 {CURRENCY}")
    partner = Partner(
        ids.new(), book_id, new.code, new.name, new.currency, new.out_points, new.out_units, new.in_units,
        new.in_points, clock.now(),
    )  # fmt: skip

    async def tell(connection: Connection) -> bool:
        await record_action(
            connection, clock, ids, book_id=book_id, by=by, kind="points_partner.created",
            prefix=Prefix.POINTS_PARTNER, subject_id=partner.id, after={"code": new.code, "name": new.name},
        )  # fmt: skip
        return True

    done = await store.post_unique(pool, store.add_partner(partner), tell)
    if done is True:
        return partner
    assert done == "points_partner_code", done
    (existing,) = await store.load_partners(pool, book_id, Search(code=new.code))
    return ALREADY_EXISTS.refuse("code", value=new.code, existing=show_id(Prefix.POINTS_PARTNER, existing.id))


async def list_partners(pool: Pool, *, book_id: int, search: Search) -> Page[Partner]:
    """Partners of a book, the newest first."""
    rows = await store.load_partners(pool, book_id, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def create_benefit(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, new: NewBenefit, by: Actor = SYSTEM
) -> Benefit | Refusal:
    """A new benefit of a programme. Refused: ``not_found`` (programme_id), ``already_exists`` (code).

    Whether there is a template of its vouchers is for the caller to know.
    """
    if isinstance(await get_programme(pool, book_id=book_id, programme_id=new.programme_id), Refusal):
        return missing("programme", "programme_id")
    benefit = Benefit(
        ids.new(), book_id, new.programme_id, new.code, new.name, new.cost_points, new.tiers, new.birthday_only,
        new.max_per_year, new.stock, 0, clock.now(), None, new.template_id, new.voucher_count,
    )  # fmt: skip

    async def tell(connection: Connection) -> bool:
        await record_action(
            connection, clock, ids, book_id=book_id, by=by, kind="points_benefit.created",
            prefix=Prefix.POINTS_BENEFIT, subject_id=benefit.id,
            after={"code": new.code, "name": new.name, "cost_points": new.cost_points},
        )  # fmt: skip
        return True

    done = await store.post_unique(pool, store.add_benefit(benefit), tell)
    if done is True:
        return benefit
    assert done == "points_benefit_code", done
    (existing,) = await store.load_benefits(pool, book_id, Search(code=new.code, programme_id=new.programme_id))
    return ALREADY_EXISTS.refuse("code", value=new.code, existing=show_id(Prefix.POINTS_BENEFIT, existing.id))


async def get_benefit(pool: Pool, *, book_id: int, id_: UUID) -> Benefit | Refusal:
    """The benefit with this id. Refused: ``not_found``."""
    found = await store.load_benefits(pool, book_id, Search(), id_)
    return found[0] if found else missing("benefit")


async def list_benefits(pool: Pool, *, book_id: int, search: Search) -> Page[Benefit]:
    """Benefits of a book, the newest first; ``search`` may narrow by programme and code."""
    rows = await store.load_benefits(pool, book_id, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)
