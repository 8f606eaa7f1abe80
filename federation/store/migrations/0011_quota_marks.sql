-- Statements that came over a quota of their member here: kept, counted and matched like any other,
-- and shown to operators. Neighbours under one mark are one row.
CREATE TABLE quota_marks (
    stem INTEGER NOT NULL REFERENCES branches,
    first INTEGER NOT NULL,
    until INTEGER NOT NULL,
    quota TEXT NOT NULL,
    PRIMARY KEY (stem, quota, first)
) STRICT, WITHOUT ROWID;
