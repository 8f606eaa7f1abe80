-- The guard: what this node signed last, in a file of its own that no backup may bring back.

CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    member TEXT NOT NULL,
    federation_id TEXT NOT NULL,
    reader_version INTEGER NOT NULL
) STRICT;

-- One row per role and log: as 'log' its own checkpoints, as 'witness' and 'mirror' its cosignatures.
CREATE TABLE signed (
    role TEXT NOT NULL,
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    root_hash BLOB NOT NULL,
    note BLOB NOT NULL,
    line TEXT NOT NULL,
    at_seconds INTEGER NOT NULL,
    PRIMARY KEY (role, origin)
) STRICT, WITHOUT ROWID;

-- Own logs of which nothing is signed until a person has decided, and why.
CREATE TABLE stops (
    origin TEXT PRIMARY KEY,
    code TEXT NOT NULL,
    text TEXT NOT NULL,
    peer TEXT NOT NULL,
    note BLOB NOT NULL,
    at_seconds INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
