-- What version 3 of the program left on disk: its schema as it was, and rows of two people. Never edited.
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
CREATE TABLE glossary (
    owner TEXT NOT NULL,
    position INTEGER NOT NULL,
    term TEXT NOT NULL,
    translation TEXT NOT NULL,
    target TEXT NOT NULL,
    PRIMARY KEY (owner, position)
) WITHOUT ROWID;
INSERT INTO conversations VALUES ('c-one', 'anna', 'Der Ölpreis', 3, 1700000000.25, 1700000100.5, '{"system": "Kurz."}');
INSERT INTO conversations VALUES ('c-two', 'ben', '关于天气', 1, 1700000200.0, 1700000200.0, '{}');
INSERT INTO entries VALUES (1, 'c-one', 0, 'user', 'Warum steigt der Ölpreis?', 'done', '{}', NULL);
INSERT INTO entries VALUES (2, 'c-one', 1, 'assistant', 'Weil die Nachfrage steigt.', 'done', '{"tokens": 7}', NULL);
INSERT INTO entries VALUES (5, 'c-two', 0, 'user', '今天天气怎么样？', 'done', '{}', NULL);
INSERT INTO entries VALUES (6, 'c-two', 1, 'assistant', '今天', 'writing', '{}', '0123456789abcdef');
INSERT INTO usage VALUES ('anna', 28333333, 2, 400);
INSERT INTO glossary VALUES ('anna', 0, 'file', 'Datei', 'de');
PRAGMA user_version = 3;
