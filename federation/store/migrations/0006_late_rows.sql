-- Statements of a stem from this index on may lack their rows in statement_ids and signal_places:
-- those of long steps are kept in memory and written by the tens of thousands, in the order of their
-- keys. After a crash they are made again from the statements.
CREATE TABLE late_rows (
    stem INTEGER PRIMARY KEY REFERENCES branches,
    start INTEGER NOT NULL
) STRICT;
