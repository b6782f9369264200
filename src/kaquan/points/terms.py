"""Terms: set a new version for a programme, and which version is in force."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kaquan.cards import get_programme
from kaquan.kit.clock import Clock
from kaquan.kit.db import Connection, Pool, post_together
from kaquan.kit.ids import Ids, Prefix, show_id
from kaquan.kit.outcomes import BUSY, Refusal
from kaquan.parties.trail import SYSTEM, Actor, record_action
from kaquan.points import store
from kaquan.points.outcomes import invalid, missing
from kaquan.points.price import check_terms
from kaquan.points.types import PointsTerms, TermsVersion

MAX_TRIES = 8


def terms_at(versions: Sequence[TermsVersion], at: datetime) -> TermsVersion | None:
    """The version of a programme's terms that is in force at a moment: the newest of those that have begun."""
    return next((one for one in reversed(versions) if one.effective_from <= at), None)


def asks_birthday(versions: Sequence[TermsVersion]) -> bool:
    """Whether any of these multiplies in the month of the holder's birthday."""
    return any(one.birthday_month for version in versions for one in version.terms.multipliers)


async def set_terms(
    pool: Pool,
    clock: Clock,
    ids: Ids,
    *,
    book_id: int,
    programme_id: UUID,
    terms: PointsTerms,
    effective_from: datetime | None = None,
    by: Actor = SYSTEM,
) -> TermsVersion | Refusal:
    """A new version of the points terms of a programme, in force from ``effective_from`` (now, and never before).

    What was earned keeps the terms it was earned under. Refused: ``not_found`` (programme_id), ``invalid_field``,
    ``busy``.
    """
    if (wrong := check_terms(terms)) is not None:
        return wrong
    if isinstance(await get_programme(pool, book_id=book_id, programme_id=programme_id), Refusal):
        return missing("programme", "programme_id")
    for _ in range(MAX_TRIES):
        versions = await store.load_terms(pool, [book_id], programme_id)
        now = clock.now()
        begins = now if effective_from is None else effective_from
        if begins < now or (versions and begins < versions[-1].effective_from):
            return invalid(
                "effective_from",
                "must not be before now, nor before the version before",
                allowed_zh="不得早于现在或上一版本",
            )
        made = TermsVersion(
            book_id, programme_id, len(versions) + 1, terms, begins,
            "system" if by.key_id is None else show_id(Prefix.KEY, by.key_id), now,
        )  # fmt: skip

        async def tell(connection: Connection, made: TermsVersion = made) -> bool:
            await record_action(
                connection, clock, ids, book_id=book_id, by=by, kind="points_terms.set", prefix=Prefix.PROGRAMME,
                subject_id=programme_id, after={"version": made.version, "effective_from": made.effective_from},
            )  # fmt: skip
            return True

        if await post_together(pool, store.add_terms(made), tell):
            return made
    return BUSY.refuse()


async def list_terms(pool: Pool, *, book_id: int, programme_id: UUID) -> list[TermsVersion]:
    """Every version of the terms of a programme, the newest first."""
    return (await store.load_terms(pool, [book_id], programme_id))[::-1]


async def load_all_terms(pool: Pool, *, book_ids: Sequence[int]) -> dict[int, dict[UUID, list[TermsVersion]]]:
    """Every version of every programme by book, the newest of each last: what a server keeps in memory."""
    found: dict[int, dict[UUID, list[TermsVersion]]] = {book_id: {} for book_id in book_ids}
    for one in await store.load_terms(pool, book_ids):
        found[one.book_id].setdefault(one.programme_id, []).append(one)
    return found
