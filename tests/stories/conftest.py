"""A business on a real database of its own; every story ends with all audits."""

import os
from collections.abc import AsyncIterator
from itertools import count

import pytest
from tests.conftest import make_database
from tests.stories.till import Business
from tests.town import KEYRING, HandClock, audits_hold

from kaquan.app import App
from kaquan.kit.db import open_pool
from kaquan.kit.ids import SystemIds
from kaquan.kit.outcomes import Refusal
from kaquan.parties import IssuedKey, Mode, Scope, create_tenant, issue_key
from kaquan.settings import Settings

_numbers = count()


@pytest.fixture
async def business(server: str) -> AsyncIterator[Business]:
    # its worker looks at every book of the database, and its clock is its own
    database = make_database(server, f"test_story_{os.getpid()}_{next(_numbers)}")
    clock, ids = HandClock(), SystemIds()
    async with open_pool(database) as pool:
        tenant = await create_tenant(pool, clock, ids, name="story")
        assert not isinstance(tenant, Refusal)
        book = tenant[1][Mode.TEST]
        key = await issue_key(pool, clock, ids, book=book, name="office", scopes=list(Scope))
        assert isinstance(key, IssuedKey)
        app = App(Settings(), pool, KEYRING, (0,), clock=clock, ids=ids)
        await app.refresh()
        app.desk.start()
        opened = Business(app, clock, book, key.token)
        yield opened
        await opened.close()
        await app.desk.close()
    await audits_hold(database)
