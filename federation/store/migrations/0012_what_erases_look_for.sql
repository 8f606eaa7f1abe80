-- The erases of one step: all that a commit looks at, however many there were before.
CREATE INDEX erases_by_place ON erase_places (place);

-- Which entries of the feed tell of a statement, by the first 8 bytes of its id: an erase blanks them.
-- Were they sought in the entries, each erased statement would cost a look at the whole history.
CREATE TABLE feed_statements (
    mark BLOB NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (mark, number)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO feed_statements (mark, number)
    WITH RECURSIVE told (number, statements) AS (
        SELECT number, statements FROM feed_entries WHERE length(statements) > 0
        UNION ALL
        SELECT number, substr(statements, 33) FROM told WHERE length(statements) > 32
    )
    SELECT substr(statements, 1, 8), number FROM told;
