"""Alembic's entry: apply the revisions on the connection that :func:`kaquan.migrations.migrate` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
