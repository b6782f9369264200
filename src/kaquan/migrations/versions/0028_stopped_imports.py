"""imports that stop: see the SQL file beside this one."""

from alembic import op

from kaquan.migrations import run_sql

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.get_bind().exec_driver_sql(run_sql(revision))
