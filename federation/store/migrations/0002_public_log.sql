-- What outsiders may see of a log, and what this node's witness said.

-- When the checkpoint was committed here, Unix milliseconds: the public sees it so much later. Those
-- of before this column are old enough for anybody.
ALTER TABLE checkpoints ADD COLUMN kept_at_ms INTEGER NOT NULL DEFAULT 0;

-- The first checkpoint after a statement that a cosigner signed is found in one step.
CREATE INDEX cosignatures_by_member ON cosignatures (stem, member, cosigner, size);

-- Lines of witnesses from outside of the federation, which this node's operator trusts.
CREATE TABLE foreign_cosignatures (
    stem INTEGER NOT NULL,
    size INTEGER NOT NULL,
    witness TEXT NOT NULL,
    at_seconds INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (stem, size, witness),
    FOREIGN KEY (stem, size) REFERENCES checkpoints (stem, size)
) STRICT, WITHOUT ROWID;

-- Every head that this node's witness signed, as long as the public may not have seen a later one.
-- The largest of a log is the witness's state: rows are only ever added above it, so that it cannot
-- go back. The log need not be held here.
CREATE TABLE witness_heads (
    origin TEXT NOT NULL,
    size INTEGER NOT NULL,
    root_hash BLOB NOT NULL,
    note BLOB NOT NULL,
    line TEXT NOT NULL,
    at_seconds INTEGER NOT NULL,
    kept_at_ms INTEGER NOT NULL,
    PRIMARY KEY (origin, size)
) STRICT, WITHOUT ROWID;
