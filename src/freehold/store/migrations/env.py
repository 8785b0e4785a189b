"""What Alembic runs, once for an upgrade: apply the migrations on the connection that ``schema.py`` hands in.

Alembic loads this file by its path; nothing imports it.
"""

from alembic import context


def run() -> None:
    """Run the migrations inside the transaction that is open already."""
    attributes = context.config.attributes
    context.configure(
        connection=attributes["connection"], version_table=attributes["version_table"], transactional_ddl=True
    )
    with context.begin_transaction():
        context.run_migrations()


run()
