-- The erases of one step: all that a commit looks at, however many there were before.
CREATE INDEX erases_by_place ON erase_places (place);
