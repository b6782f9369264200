"""jobs: see the SQL file beside this one."""

from alembic import op

from kaquan.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # without parameters, because the text has percent signs of its own
    op.get_bind().exec_driver_sql(run_sql(revision), execution_options={"no_parameters": True})
