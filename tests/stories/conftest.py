"""A business with a key on a real database; every story ends with all audits."""

from collections.abc import AsyncIterator

import pytest
from tests.stories.till import Business
from tests.town import KEYRING, audits_hold

from kaquan.app import App
from kaquan.kit.clock import SystemClock
from kaquan.kit.db import Pool
from kaquan.kit.ids import SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.parties import IssuedKey, Mode, Scope, create_tenant, issue_key
from kaquan.settings import Settings


@pytest.fixture
async def business(database: str, pool: Pool) -> AsyncIterator[Business]:
    clock, ids = SystemClock(), SystemIds()
    tenant = await create_tenant(pool, clock, ids, name=f"story {ids.new()}")
    assert not isinstance(tenant, Refusal)
    key = await issue_key(pool, clock, ids, book=tenant[1][Mode.LIVE], name="office", scopes=list(Scope))
    assert isinstance(key, IssuedKey)
    app = App(Settings(), pool, KEYRING, (0,), clock=clock, ids=ids)
    await app.refresh()
    app.desk.start()
    opened = Business(app, key.token)
    yield opened
    await opened.client.aclose()
    await app.desk.close()
    await audits_hold(database)
