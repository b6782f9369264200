"""An idempotency key belongs to one request, also when cards live in several slots."""

from tests.town import HandClock, Town, audits_hold

from kaquan.payments.outcomes import IDEMPOTENCY_KEY_REUSED

SLOTS = (3, 17, 40, 62)


async def test_a_key_is_refused_for_a_card_of_another_slot(database_of_four_slots: str) -> None:
    town = await Town.found(database_of_four_slots, clock=HandClock(), slots=SLOTS)
    try:
        first = await town.new_card()
        other = await town.new_card()
        while town.slot_of(other) == town.slot_of(first):
            other = await town.new_card()
        loaded = await town.load(first, 100, key="same", body=b"first")
        refused = await town.load(other, 100, key="same", body=b"other")
        again = await town.load(first, 100, key="same", body=b"first")

        assert loaded.code is None
        assert refused.code == IDEMPOTENCY_KEY_REUSED.code
        assert again.body == loaded.body
        assert await town.available_fen(first) == 100
        assert await town.available_fen(other) == 0
        await audits_hold(database_of_four_slots)
    finally:
        await town.close()
