"""Which failures of the database pass, and which are ours."""

import psycopg
import pytest
from psycopg.pq import DiagnosticField
from psycopg_pool import PoolTimeout

from kaquan.kit.db import is_outage


def panic(severity: bytes) -> psycopg.Error:
    return psycopg.errors.InternalError_("the log", info={DiagnosticField.SEVERITY_NONLOCALIZED: severity})


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (psycopg.errors.AdminShutdown("ended"), True),
        (psycopg.errors.DiskFull("full"), True),
        (psycopg.InterfaceError("closed"), True),
        (PoolTimeout("busy"), True),
        (panic(b"PANIC"), True),
        (panic(b"ERROR"), False),
        (psycopg.errors.CheckViolation("below the floor"), False),
        (ValueError("ours"), False),
    ],
)
def test_what_may_succeed_later(error: Exception, passes: bool) -> None:
    assert is_outage(error) is passes
