"""The first schema: the journal, its tiles, the documents beside it.

Released migrations are never edited. Loaded by Alembic by its path; nothing imports it.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# One unique index does three things: an attempt has one INTENT, one unknown RESULT and one final RESULT; a
# run's actions are read in the order of its plan; and, as it begins with the run, writes meet few pages.
COMMON = (
    "CREATE TABLE house (one {int} PRIMARY KEY CHECK (one = 1), epoch {int} NOT NULL)",
    "INSERT INTO house (one, epoch) VALUES (1, 0)",
    """
    CREATE TABLE entry (
        idx {int} PRIMARY KEY,
        form {int} NOT NULL,
        attempt {int} NOT NULL,
        item {int} NOT NULL,
        ordinal {int} NOT NULL,
        run {bytes} NOT NULL,
        action {bytes} NOT NULL,
        node {text} NOT NULL,
        status {text} NOT NULL,
        digest {bytes} NOT NULL,
        leaf {bytes} NOT NULL,
        deltas {text},
        body {bytes} NOT NULL,
        payload {bytes}
    )
    """,
    """
    CREATE UNIQUE INDEX entry_once ON entry (run, node, item, ordinal, action, attempt, form) WHERE form <= 3
    """,
    "CREATE INDEX entry_of_run ON entry (run, idx) WHERE form >= 4",
    """
    CREATE TABLE tile (
        level {int} NOT NULL,
        number {int} NOT NULL,
        root {bytes} NOT NULL,
        hashes {bytes} NOT NULL,
        PRIMARY KEY (level, number)
    )
    """,
    "CREATE TABLE mark (name {text} PRIMARY KEY, idx {int} NOT NULL, body {bytes} NOT NULL)",
    """
    CREATE TABLE document (
        collection {text} NOT NULL,
        key {text} NOT NULL,
        state {text} NOT NULL,
        version {int} NOT NULL,
        body {bytes} NOT NULL,
        PRIMARY KEY (collection, key)
    )
    """,
    "CREATE INDEX document_by_state ON document (collection, state, key)",
)

TYPES = {
    "sqlite": {"int": "INTEGER", "bytes": "BLOB", "text": "TEXT"},
    "postgresql": {"int": "bigint", "bytes": "bytea", "text": 'text COLLATE "C"'},
}

# Ciphertext and hashes do not compress; trying costs time at every write.
POSTGRESQL_ONLY = (
    "ALTER TABLE entry ALTER COLUMN payload SET STORAGE EXTERNAL",
    "ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL",
)


def upgrade() -> None:
    """Make every table."""
    dialect = op.get_context().dialect.name
    for statement in COMMON:
        op.execute(statement.format(**TYPES[dialect]))
    if dialect == "postgresql":
        for statement in POSTGRESQL_ONLY:
            op.execute(statement)
