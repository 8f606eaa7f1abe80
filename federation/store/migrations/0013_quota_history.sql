-- Statements of other members that stood before this node could count them, and are in no window of a
-- quota. The windows themselves are made again from when checkpoints were kept.
CREATE TABLE quota_history (
    stem INTEGER NOT NULL REFERENCES branches,
    first INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (stem, first)
) STRICT, WITHOUT ROWID;

-- Of what is held already nobody knows any more which part was history.
INSERT INTO quota_history (stem, first, until) SELECT stem, 0, size FROM branches WHERE size > 0;
