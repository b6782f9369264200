"""A client of the HTTP API over a real database, in the same process."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.contract.api import MAX_BODY_BYTES, Api

from kaquan.app import App
from kaquan.kit.clock import Clock
from kaquan.kit.db import Pool
from kaquan.kit.ids import Ids
from kaquan.parties import Mode
from kaquan.settings import Settings
from kaquan.vault import Keyring


@pytest.fixture
async def api(pool: Pool, clock: Clock, ids: Ids) -> AsyncIterator[Api]:
    keyring = Keyring({"k1": bytes(range(32))}, current="k1")
    settings = Settings(max_body_bytes=MAX_BODY_BYTES)
    app = App(settings, pool, keyring, (0,), clock=clock, ids=ids)
    app.desk.start()
    served = Api(app)
    yield served
    await served.close()
    await app.desk.close()


@pytest.fixture
async def live(api: Api) -> httpx.AsyncClient:
    """A client with every scope, in the live book of a new tenant."""
    return await api.client_of((await api.books())[Mode.LIVE])
