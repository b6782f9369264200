"""What a command needs before its work: settings, the home folder, a database at this schema, the key ring."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from kaquan.doors.cli import store
from kaquan.doors.cli.failures import CommandError
from kaquan.doors.cli.output import note
from kaquan.kit.db import Pool, check_durability, open_pool, read_conninfo
from kaquan.kit.embedded import EmbeddedPostgres
from kaquan.migrations import check_schema, migrate
from kaquan.settings import SYSTEM_HOME, Settings, SettingsError, read_settings
from kaquan.vault import Keyring, KeyringError

Result = TypeVar("Result")


def settings_of_command() -> Settings:
    """The settings, and a word when root's data is not where a user would look for it."""
    settings = read_settings()
    if settings.home == SYSTEM_HOME and "KAQUAN_HOME" not in os.environ:
        note(f"Data is in {SYSTEM_HOME}: the database's user may not enter this folder. / 数据保存在 {SYSTEM_HOME}。")
    return settings


def make_home(home: Path) -> None:
    """Make the home folder; only its user may list it, and under root the database's user may pass."""
    try:
        if not home.exists():
            home.mkdir(parents=True)
            home.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise CommandError(
            f"The folder {home} cannot be made ({error.strerror}): name another one with KAQUAN_HOME."
            " / 无法创建数据目录，请用 KAQUAN_HOME 指定。"
        ) from error


def embedded(settings: Settings) -> EmbeddedPostgres:
    """The embedded server of this home. Raises CommandError if the settings name another server."""
    if settings.database_url is not None:
        raise CommandError("KAQUAN_DATABASE_URL names a server of yours: start and stop it with its own tools.")
    return EmbeddedPostgres(settings.home / "postgres")


def external_conninfo(url: str) -> str:
    """``url`` without its password, which goes to libpq's variable: so it appears in no argument and no message."""
    try:
        conninfo, password = read_conninfo(url)
    except ValueError as error:
        raise SettingsError(f"KAQUAN_DATABASE_URL is {error}.") from None
    if password is not None:
        os.environ["PGPASSWORD"] = password
    store.log_in(conninfo)
    return conninfo


@contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """A database that answers, whatever its schema; its conninfo. An embedded one that was started here is stopped."""
    if settings.database_url is not None:
        yield external_conninfo(settings.database_url)
        return
    make_home(settings.home)
    with embedded(settings) as server:
        yield server.conninfo()


@contextmanager
def ready_database(settings: Settings) -> Iterator[str]:
    """The same at this release's schema: the embedded one is migrated, a server of the operator's is only checked."""
    with running_database(settings) as conninfo:
        if settings.database_url is None:
            migrate(conninfo)
        else:
            check_schema(conninfo)
            store.log_in(conninfo, as_application=True)
        yield conninfo


def with_pool(settings: Settings, work: Callable[[Pool], Awaitable[Result]]) -> Result:
    """Do ``work`` on the ready database, as the application."""
    with ready_database(settings) as conninfo:
        return asyncio.run(on_pool(conninfo, work))


async def on_pool(conninfo: str, work: Callable[[Pool], Awaitable[Result]]) -> Result:
    """Do ``work`` with sessions as the application has them."""
    async with open_pool(conninfo) as pool:
        return await work(pool)


def prepare_to_serve(settings: Settings, conninfo: str) -> None:
    """Refuse a server that could lose money, and find the key ring or make the first one.

    Raises UnsafeServerError, and KeyringError when there are cards whose key ring is not there.
    """
    asyncio.run(on_pool(conninfo, _check_durability))
    path = settings.keyring_path
    if path.exists():
        Keyring.load(path, settings.keyring_passphrase)
        return
    if store.has_cards(conninfo):
        raise KeyringError(
            f"There are cards in this database and no key ring at {path}, without which none of them can be found: "
            "restore its backup or name it with KAQUAN_KEYRING. / 缺少密钥文件，请从备份恢复。"
        )
    make_home(settings.home)
    Keyring.create(path, settings.keyring_passphrase)
    note(f"A new key ring: {path}. Back it up apart from the database. / 已生成密钥文件，请与数据库分开备份。")


async def _check_durability(pool: Pool) -> None:
    async with pool.connection() as connection:
        await check_durability(connection)
