"""Templates: create, end, get, list."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import asdict, replace

from kaquan.cards import Pocket, end_of_day
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids, Prefix
from kaquan.kit.outcomes import Refusal
from kaquan.kit.paging import Page, cut_page
from kaquan.parties import get_funder, get_issuer
from kaquan.parties.trail import SYSTEM, Actor, new_action
from kaquan.promotions import FunderKind
from kaquan.vouchers import store
from kaquan.vouchers.effect import check_effect
from kaquan.vouchers.outcomes import TEMPLATE_ENDED, invalid, missing, taken
from kaquan.vouchers.types import NewTemplate, Search, Template, VoucherKind

WHOLE_BP = 10_000


def check_template(new: NewTemplate, *, now: datetime) -> Refusal | None:
    """What of a template can be told from itself. Refused: ``invalid_field`` (face_fen, valid_until, valid_from,
    funders, load_pocket)."""
    if new.kind is VoucherKind.VALUE and new.face_fen == 0:
        return invalid("face_fen", "must be more than 0 for a value voucher", allowed_zh="代金券面值须大于 0")
    if (new.valid_until is None) == (new.valid_days is None):
        return invalid(
            "valid_until",
            "give either valid_until or valid_days, one of them",
            allowed_zh="valid_until 与 valid_days 须且只能提供一个",
        )
    if new.valid_until is not None and new.valid_until <= now:
        return invalid("valid_until", "must not be in the past", allowed_zh="不得早于现在")
    if new.valid_from is not None and new.valid_until is not None and new.valid_from >= new.valid_until:
        return invalid("valid_from", "must be before valid_until", allowed_zh="须早于 valid_until")
    if sum(funder.share_bp for funder in new.funders) != WHOLE_BP or any(one.share_bp <= 0 for one in new.funders):
        return invalid(
            "funders", f"shares must be above 0 and sum to {WHOLE_BP}", allowed_zh=f"份额须大于 0，合计为 {WHOLE_BP}"
        )
    if len({(one.kind, one.party_id) for one in new.funders}) < len(new.funders):
        return invalid("funders", "each at most once", allowed_zh="每一出资方至多出现一次")
    if any((one.kind is FunderKind.PARTY) != (one.party_id is not None) for one in new.funders):
        return invalid(
            "funders", "party_id belongs to the kind party, and only to it", allowed_zh="party_id 仅用于 party 类出资方"
        )
    if new.load_pocket is not None:
        if new.load_pocket is Pocket.PRINCIPAL:
            return invalid(
                "load_pocket",
                "must be bonus or restricted: its holder pays nothing",
                allowed_zh="应为 bonus 或 restricted",
            )
        if new.kind is not VoucherKind.VALUE:
            return invalid("load_pocket", "only value vouchers are paid into a card", allowed_zh="仅代金券可充入购物卡")
        if any(one.kind is FunderKind.MERCHANT for one in new.funders):
            return invalid(
                "load_pocket",
                "no merchant pays for what is paid into a card: there is none yet",
                allowed_zh="充入购物卡的券不能由商户出资",
            )
    return None


def valid_until_of(template: Template, *, claimed_at: datetime) -> datetime | None:
    """When a voucher ends that is claimed now: on the template's day, or so many days after today, at the day's end."""
    if template.valid_days is None:
        return template.valid_until
    return end_of_day(claimed_at, valid_days=template.valid_days, time_zone=template.time_zone)


async def create_template(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, new: NewTemplate, by: Actor = SYSTEM
) -> Template | Refusal:
    """A new template.

    Refused: ``not_found`` (issuer_id, funders), ``already_exists`` (code), as :func:`check_template` and
    :func:`check_effect`.
    """
    now = clock.now()
    if (wrong := check_template(new, now=now) or check_effect(new)) is not None:
        return wrong
    issuer = await get_issuer(pool, book_id=book_id, id_=new.issuer_id)
    if isinstance(issuer, Refusal):
        return missing("issuer", "issuer_id")
    for funder in new.funders:
        if funder.party_id is not None and isinstance(
            await get_funder(pool, book_id=book_id, id_=funder.party_id), Refusal
        ):
            return missing("funder", "funders")
    template = Template(
        id=ids.new(), book_id=book_id, time_zone=issuer.time_zone, created_at=now,
        **{name: getattr(new, name) for name in NewTemplate.__struct_fields__},
    )  # fmt: skip
    told = {name: value for name, value in asdict(template).items() if name in _TOLD}
    action = new_action(
        clock, ids, book_id=book_id, by=by, kind="voucher_template.created", prefix=Prefix.VOUCHER_TEMPLATE,
        subject_id=template.id, after=told,
    )  # fmt: skip
    refused_by = await store.post_template(pool, template, action)
    if refused_by is None:
        return template
    assert refused_by == "vouchers_template_code", refused_by
    (existing,) = await store.load_templates(pool, book_id, Search(code=new.code))
    return taken("code", new.code, prefix=Prefix.VOUCHER_TEMPLATE, existing=existing.id)


_TOLD = {"code", "name", "kind", "face_fen", "offer_kind", "offer_params", "valid_until", "valid_days"}


async def end_template(
    pool: Pool, clock: Clock, ids: Ids, *, book_id: int, id_: UUID, by: Actor = SYSTEM
) -> Template | Refusal:
    """Give out no more vouchers of a template; those that are held stay good. Refused: ``not_found``,
    ``voucher_template_ended``."""
    template = await get_template(pool, book_id=book_id, id_=id_)
    if isinstance(template, Refusal):
        return template
    now = clock.now()
    action = new_action(
        clock, ids, book_id=book_id, by=by, kind="voucher_template.ended", prefix=Prefix.VOUCHER_TEMPLATE,
        subject_id=id_, after={"ended_at": now},
    )  # fmt: skip
    if not await store.end_template(pool, book_id=book_id, id_=id_, at=now, action=action):
        return TEMPLATE_ENDED.refuse("id")
    return replace(template, ended_at=now)


async def get_template(pool: Pool, *, book_id: int, id_: UUID, field: str = "id") -> Template | Refusal:
    """The template with this id. Refused: ``not_found``."""
    found = await store.load_templates(pool, book_id, Search(), [id_])
    return found[0] if found else missing("voucher template", field)


async def list_templates(pool: Pool, *, book_id: int, search: Search) -> Page[Template]:
    """Templates of a book, the newest first; ``search`` may narrow by code and name."""
    rows = await store.load_templates(pool, book_id, search)
    return cut_page(rows, limit=search.limit, last_id=rows[search.limit - 1].id if len(rows) > search.limit else None)


async def load_all_templates(pool: Pool, *, book_id: int) -> dict[UUID, Template]:
    """Every template of a book, ended ones too: what vouchers in circulation may be of."""
    found: dict[UUID, Template] = {}
    search = Search(limit=_CHUNK)
    while True:
        rows = await store.load_templates(pool, book_id, search)
        found.update((row.id, row) for row in rows)
        if len(rows) <= _CHUNK:
            return found
        search = replace(search, after_id=rows[_CHUNK - 1].id)


_CHUNK = 1_000
