"""openings of events of cards are erased: see the SQL file beside this one."""

from alembic import op

from kaquan.migrations import run_sql

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(run_sql(revision))
