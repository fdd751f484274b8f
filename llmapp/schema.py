"""The database's schema as scripts, one a version. Data only: `store` runs them, once each, in order."""

from __future__ import annotations

CONVERSATIONS = """
CREATE TABLE conversations (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    title TEXT NOT NULL,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    settings TEXT NOT NULL
);
CREATE INDEX conversations_by_owner ON conversations (owner, updated);
CREATE TABLE entries (
    key INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    text TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('done', 'writing', 'unfinished')),
    meta TEXT NOT NULL,
    writer TEXT,
    UNIQUE (conversation, position)
);
CREATE INDEX entries_being_written ON entries (writer) WHERE state = 'writing';
"""
# A text that is still being written changes every second: it enters the index when it is there to stay.
SEARCH_AND_USAGE = """
CREATE VIEW searchable AS SELECT key, text FROM entries WHERE state <> 'writing';
CREATE VIRTUAL TABLE search USING fts5 (
    text, content = 'searchable', content_rowid = 'key', tokenize = 'trigram'
);
CREATE TRIGGER search_added AFTER INSERT ON entries WHEN new.state <> 'writing' BEGIN
    INSERT INTO search (rowid, text) VALUES (new.key, new.text);
END;
CREATE TRIGGER search_removed AFTER DELETE ON entries WHEN old.state <> 'writing' BEGIN
    INSERT INTO search (search, rowid, text) VALUES ('delete', old.key, old.text);
END;
CREATE TRIGGER search_outdated BEFORE UPDATE OF text, state ON entries WHEN old.state <> 'writing' BEGIN
    INSERT INTO search (search, rowid, text) VALUES ('delete', old.key, old.text);
END;
CREATE TRIGGER search_updated AFTER UPDATE OF text, state ON entries WHEN new.state <> 'writing' BEGIN
    INSERT INTO search (rowid, text) VALUES (new.key, new.text);
END;
INSERT INTO search (search) VALUES ('rebuild');
CREATE TABLE usage (
    owner TEXT NOT NULL,
    minute INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (owner, minute)
) WITHOUT ROWID;
"""
GLOSSARY = """
CREATE TABLE glossary (
    owner TEXT NOT NULL,
    position INTEGER NOT NULL,
    term TEXT NOT NULL,
    translation TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (owner, position)
) WITHOUT ROWID;
"""
# No id is given twice: one that is deleted in backups too must not be another's there.
EXAMPLES = """
CREATE TABLE examples (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    task TEXT NOT NULL,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    kept REAL NOT NULL
);
CREATE INDEX examples_by_owner ON examples (owner, task);
"""
MIGRATIONS: tuple[str, ...] = (CONVERSATIONS, SEARCH_AND_USAGE, GLOSSARY, EXAMPLES)
"""Script n brings a file of version n to version n + 1. Only ever append."""

# FTS5 can not even open an index whose first two rows are broken; these are what it starts an empty one with.
REBUILD_SEARCH = """
BEGIN IMMEDIATE;
DELETE FROM search_data;
DELETE FROM search_idx;
INSERT INTO search_data VALUES (1, x''), (10, zeroblob(7));
INSERT INTO search (search) VALUES ('rebuild');
COMMIT;
"""
