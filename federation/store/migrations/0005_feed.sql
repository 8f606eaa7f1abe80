-- The feed: what changed for this platform, in the order in which it was committed here.

-- Numbers are never given twice, also where the newest rows were taken out: a consumer's cursor
-- would point at something else.
CREATE TABLE feed_entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    -- The ids of the statements it tells of, 32 bytes each: what erases look for.
    statements BLOB NOT NULL,
    content TEXT NOT NULL
) STRICT;

-- How far each log is in the feed: a step that is told again is known by its end.
CREATE TABLE feed_steps (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which feed this is: a cursor of another node, or of before this database was made, is told apart.
-- cut is the last number that is no longer there.
CREATE TABLE feed_meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    feed_id TEXT NOT NULL,
    cut INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO feed_meta (only_row, feed_id) VALUES (1, lower(hex(randomblob(8))));

-- Each webhook is a consumer with a cursor of its own: the feed is its outbox.
CREATE TABLE webhooks (
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    failing_since_ms INTEGER,
    retry_at_ms INTEGER,
    last_error TEXT
) STRICT, WITHOUT ROWID;

-- What a webhook's receiver did not take in all the tries it had; operators replay it.
CREATE TABLE dead_letters (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (name, number)
) STRICT, WITHOUT ROWID;
