"""A business on a real database of its own; every story ends with all audits."""

import os
from collections.abc import AsyncIterator
from itertools import count

import pytest
from tests.conftest import make_database
from tests.stories.till import Business, open_business
from tests.town import audits_hold

_numbers = count()


@pytest.fixture
async def business(server: str) -> AsyncIterator[Business]:
    # its worker looks at every book of the database, and its clock is its own
    database = make_database(server, f"test_story_{os.getpid()}_{next(_numbers)}")
    async for opened in open_business(database):
        yield opened
    await audits_hold(database)
