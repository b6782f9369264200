"""Bundles of cards, of their batch and of vouchers over four slots: the issue and every event are proven entries."""

import io
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.conftest import make_database
from tests.store.test_evidence_log import FIRST
from tests.store.test_vouchers import SLOTS, Shop
from tests.town import KEYRING, HandClock, Town
from tests.unit.test_custody_bundle import single_file

from kaquan import cards
from kaquan.cards import Batch, CardForm, NewBatch, Press
from kaquan.custody import Exported, export_object, export_period
from kaquan.evidence import LogKey, Sequencer
from kaquan.kit.ids import Prefix, show_id


@pytest.fixture
async def town(server: str) -> AsyncIterator[Town]:
    database = make_database(server, f"test_custody_objects_{os.getpid()}_{datetime.now(UTC).timestamp():.6f}", SLOTS)
    made = await Town.found(database, clock=HandClock(), slots=SLOTS)
    yield made
    await made.close()


async def read(town: Town, name: str | None) -> tuple[Exported, list[Any]]:
    """What the single file proves of an object, or of all times."""
    app = town.apps[0]
    sequencer = Sequencer(app.pool, app.clock, town.ids, SLOTS, origin="cards.example/log")
    while (step := await sequencer.step([FIRST])).leaves or step.more:
        pass
    stream, now = io.BytesIO(), app.clock.now()
    if name is None:
        done = await export_period(
            app.pool, app.clock, [FIRST], begins=datetime(2020, 1, 1, tzinfo=UTC), ends=now, stream=stream
        )
    else:
        done = await export_object(
            app.pool, app.clock, [FIRST], name=name, stream=stream, slots=SLOTS, book_id=town.book_id
        )
    assert isinstance(done, Exported), done
    stream.seek(0)
    events: list[Any] = []
    key = single_file.read_key(LogKey("cards.example/log", FIRST.public).text)
    single_file.Reader(stream, [key], events.append).read()
    return done, events


async def test_a_voucher_its_issue_and_its_events(town: Town) -> None:
    clock = town.apps[0].clock
    assert isinstance(clock, HandClock)
    shop = Shop(town, clock)
    held = await shop.held()
    done, events = await read(town, show_id(Prefix.VOUCHER, held.id))
    assert (done.entries, done.facts) == (2, 0)
    issue, told, claimed, opened = events
    assert (issue[0], issue[4], told[:2]) == ("kaquan-issue/1", "voucher", ["issued with it", held.id.hex])
    assert (claimed[0], claimed[6:9]) == ("kaquan-voucher/2", ["claimed", "issued", "held"])
    assert (opened[0], len(opened)) == ("opening", 3)


async def test_a_batch_its_issues_and_each_card_of_it(town: Town) -> None:
    app = town.apps[0]
    args: dict[str, Any] = {"book_id": town.book_id}
    new = NewBatch(programme_id=town.programme.id, name="b", form=CardForm.DIGITAL, card_count=150)
    batch = await cards.create_batch(app.pool, app.clock, town.ids, **args, slots=SLOTS, new=new)
    assert isinstance(batch, Batch)
    press = Press(KEYRING, SLOTS, town.ids)
    assert isinstance(
        await cards.run_batch(app.pool, press, app.clock, **args, batch_id=batch.id, chunk_cards=100), Batch
    )
    done, events = await read(town, show_id(Prefix.BATCH, batch.id))
    issues = [event for event in events if event[0] == "kaquan-issue/1"]
    assert (len(issues), sum(issue[9] for issue in issues)) == (2 * len(SLOTS), 150)
    assert (done.entries, {issue[6] for issue in issues}) == (len(issues), {batch.id.hex})
    async with app.pool.connection() as connection:
        rows = await (await connection.execute("SELECT unnest(ids), unnest(last4) FROM evidence_issue")).fetchall()
    assert len({id_ for id_, _ in rows}) == 150
    for card_id, last4 in rows[::40]:
        done, events = await read(town, show_id(Prefix.CARD, card_id))
        assert (done.entries, done.facts, events[1]) == (1, 0, ["issued with it", card_id.hex, last4])
    done, events = await read(town, None)
    assert done.hidden == 0
    assert not [event for event in events if event[0] in ("issued with it", "opening")]
