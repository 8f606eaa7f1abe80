-- Statements held without salt and body while no valid erase is at hand: peers are asked for them.
CREATE TABLE missing_openings (
    place INTEGER PRIMARY KEY
) STRICT;

-- What erases refer to. They are few: whatever is appended is held against them quickly, and at a
-- start all of them are applied again.
CREATE TABLE erase_places (
    hkey INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (hkey, place)
) STRICT, WITHOUT ROWID;
