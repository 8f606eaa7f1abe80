-- How far what changed was told to those who listen: a crash in between tells it again.
CREATE TABLE told_sizes (
    origin TEXT PRIMARY KEY,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
