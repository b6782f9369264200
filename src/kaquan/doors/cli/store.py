"""What the commands ask the database themselves."""

from kaquan.kit.db import app_conninfo, connect_sync, load_queries

_QUERIES = load_queries(__package__)


def has_cards(conninfo: str) -> bool:
    """Whether a card number or a customer was ever stored here, which only its key ring can find again."""
    with connect_sync(app_conninfo(conninfo)) as connection:
        row = connection.execute(_QUERIES["has_cards"]).fetchone()
    return row is not None and bool(row[0])


def log_in(conninfo: str, *, as_application: bool = False) -> None:
    """Connect once, as the application does if asked to; raises the driver's errors."""
    connect_sync(app_conninfo(conninfo) if as_application else conninfo).close()
