"""Replay drafts over the purchases of a book: read once, chunk by chunk, and priced in several processes."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

from kaquan.app import read_slots_of
from kaquan.cards import Programmes
from kaquan.doors.cli.demo.replaying import replay_baskets
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.prepare import settings_of_command, with_pool
from kaquan.kit.db import Pool
from kaquan.kit.outcomes import Refusal
from kaquan.parties import Directory, Mode, get_tenant
from kaquan.payments import History, asks_of, check_size, over_whole_time, read_baskets, report_of
from kaquan.policy import Policy
from kaquan.promotions import (
    Basket,
    Campaign,
    ReplayReport,
    StackingPolicy,
    check_terms,
    compile_campaigns,
    for_issuers,
    get_policy,
    list_in_force,
)

MAX_PURCHASES = 1_000_000
"""As many are kept in memory: about 2 kB each."""

_LAST = date.max - timedelta(days=1)


def replay_book(
    tenant: str,
    mode: Mode,
    drafts: Sequence[Campaign],
    others: Sequence[Campaign],
    *,
    days: tuple[date, date],
    processes: int,
    whole_time: bool,
) -> ReplayReport:
    """What ``drafts`` would have given on these days (UTC) beside ``others`` and what is in force in the book.

    Raises CommandError for a tenant that is not there, drafts that could not be published, and for more
    purchases than are kept in memory.
    """
    files = drafts
    if whole_time:
        drafts = [over_whole_time(draft) for draft in drafts]

    async def read(pool: Pool) -> tuple[History, list[Basket], list[Campaign], list[Campaign], StackingPolicy]:
        there = await get_tenant(pool, tenant)
        if there is None:
            raise CommandError(f"There is no tenant {tenant}. / 没有这个租户。")
        book_id = there[1][mode].id
        directory, policy = Directory(pool), Policy(pool)
        programmes = Programmes(pool, rules=policy.rules)
        for copy in (directory, policy, programmes):
            await copy.refresh()
        for draft in files:
            rules = policy.rules(book_id, draft.terms.issuer_id)
            if isinstance(wrong := await check_terms(pool, book_id, draft.terms, rules), Refusal):
                said = [wrong, *wrong.details.get("also", ())]
                raise CommandError(
                    "\n".join(f"{draft.terms.code}: {one.message('en')} / {one.message('zh')}" for one in said)
                )
        history = History(
            pool,
            await read_slots_of(pool),
            book_id,
            datetime.combine(days[0], time(), UTC),
            datetime.combine(min(days[1], _LAST) + timedelta(days=1), time(), UTC),
            programmes.get,
            lambda book, terminal: directory.book(book).places.get(terminal),
            {draft.terms.issuer_id: programmes.of_issuer(book_id, draft.terms.issuer_id) for draft in drafts},
        )
        if (refused := await check_size(history, maximum=MAX_PURCHASES)) is not None:
            raise CommandError(f"{refused.message('en')} / {refused.message('zh')}")
        assert history.issuers is not None
        running = for_issuers([*await list_in_force(pool, book_id=book_id), *others], history.issuers)
        asked = for_issuers(drafts, history.issuers)
        baskets: list[Basket] = []
        async for chunk in read_baskets(history, asks=asks_of(compile_campaigns((*drafts, *running)))):
            baskets += chunk
        return history, baskets, asked, running, await get_policy(pool, book_id=book_id)

    history, baskets, drafts, running, policy = with_pool(settings_of_command(), read)
    tally, ended = replay_baskets(
        lambda share: [basket for basket in baskets if basket.holder.id.int % share[1] == share[0]],
        drafts,
        running,
        policy,
        first=days[0],
        last=days[1],
        processes=processes,
        days_a_chunk=1,
    )
    return report_of(history, tally, ended, drafts, running, whole_time=whole_time)
