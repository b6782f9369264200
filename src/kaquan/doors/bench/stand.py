"""Where the benches measure: an empty database of their own, on the server that the settings name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kaquan.doors.bench import store
from kaquan.kit.embedded import EmbeddedPostgres
from kaquan.migrations import migrate
from kaquan.settings import Settings


class BenchError(Exception):
    """A bench cannot be run; the message says why."""


class Stand(msgspec.Struct, frozen=True):
    """An empty database to measure in, and a folder for what the benches write beside it."""

    conninfo: str
    folder: Path


@contextmanager
def running_server(settings: Settings) -> Iterator[Stand]:
    """The server to measure on: the one that the settings name, or an embedded one for the benches alone."""
    folder = settings.home / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    if settings.database_url is not None:
        yield Stand(settings.database_url, folder)
        return
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    try:
        yield Stand(server.conninfo(), folder)
    finally:
        server.stop()


@contextmanager
def empty_database(server: Stand) -> Iterator[Stand]:
    """A migrated, empty database on ``server``, dropped at the end."""
    with store.own_database(server.conninfo, name=f"kaquan_bench_{os.getpid()}") as conninfo:
        migrate(conninfo)
        yield Stand(conninfo, server.folder)
