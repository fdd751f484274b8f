-- What version 1 of the program left on disk: its schema as it was, and rows of two people. Never edited.
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
INSERT INTO conversations VALUES ('c-one', 'anna', 'Der Ölpreis', 3, 1700000000.25, 1700000100.5, '{"system": "Kurz."}');
INSERT INTO conversations VALUES ('c-two', 'ben', '关于天气', 1, 1700000200.0, 1700000200.0, '{}');
INSERT INTO entries VALUES (1, 'c-one', 0, 'user', 'Warum steigt der Ölpreis?', 'done', '{}', NULL);
INSERT INTO entries VALUES (2, 'c-one', 1, 'assistant', 'Weil die Nachfrage steigt.', 'done', '{"tokens": 7}', NULL);
INSERT INTO entries VALUES (5, 'c-two', 0, 'user', '今天天气怎么样？', 'done', '{}', NULL);
INSERT INTO entries VALUES (6, 'c-two', 1, 'assistant', '今天', 'writing', '{}', '0123456789abcdef');
PRAGMA user_version = 1;
