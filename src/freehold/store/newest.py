"""What a new SQLite database is made of, as the migrations would make it, without loading what migrates.

Only ``schema.py`` reads it. A test compares it with the migrations; a new migration changes both.
"""

from typing import Final

STATEMENTS: Final = (
    """
    CREATE TABLE freehold_version (
        version_num VARCHAR(32) NOT NULL, CONSTRAINT freehold_version_pkc PRIMARY KEY (version_num)
    )
    """,
    "INSERT INTO freehold_version (version_num) VALUES ('0001')",
    "CREATE TABLE house (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL)",
    "INSERT INTO house (one, epoch) VALUES (1, 0)",
    """
    CREATE TABLE entry (
        idx INTEGER PRIMARY KEY,
        form INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        item INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        run BLOB NOT NULL,
        action BLOB NOT NULL,
        node TEXT NOT NULL,
        status TEXT NOT NULL,
        digest BLOB NOT NULL,
        leaf BLOB NOT NULL,
        deltas TEXT,
        body BLOB NOT NULL,
        payload BLOB
    )
    """,
    "CREATE UNIQUE INDEX entry_once ON entry (run, node, item, ordinal, action, attempt, form) WHERE form <= 3",
    "CREATE INDEX entry_of_run ON entry (run, idx) WHERE form >= 4",
    """
    CREATE TABLE tile (
        level INTEGER NOT NULL,
        number INTEGER NOT NULL,
        root BLOB NOT NULL,
        hashes BLOB NOT NULL,
        PRIMARY KEY (level, number)
    )
    """,
    "CREATE TABLE mark (name TEXT PRIMARY KEY, idx INTEGER NOT NULL, body BLOB NOT NULL)",
    """
    CREATE TABLE document (
        collection TEXT NOT NULL,
        key TEXT NOT NULL,
        state TEXT NOT NULL,
        version INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (collection, key)
    )
    """,
    "CREATE INDEX document_by_state ON document (collection, state, key)",
)
