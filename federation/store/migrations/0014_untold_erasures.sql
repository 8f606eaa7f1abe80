-- What was erased here and was not told yet to those who listen: a row for each transaction in which salts
-- and bodies went, or came never to be there, with the places of the statements as JSON. Numbers are never
-- given twice: whoever was told keeps the last one, and is told each once.
CREATE TABLE untold_erasures (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    places TEXT NOT NULL
) STRICT;

-- The last of those numbers that the feed has.
ALTER TABLE feed_meta ADD COLUMN erasures INTEGER NOT NULL DEFAULT 0;

-- Earlier releases did not tell of every erase. All that they carried out is told, once more where it was:
-- who has let go of a statement has nothing to do.
INSERT INTO untold_erasures (places)
    SELECT json_group_array(place) FROM (
        SELECT DISTINCT said.place AS place FROM erase_places AS asked
        CROSS JOIN statement_ids AS found USING (hkey)
        CROSS JOIN statements AS said ON said.place = found.place
        WHERE said.body IS NULL AND said.place NOT IN (SELECT place FROM missing_openings)
        ORDER BY said.place
    ) GROUP BY place / 256;
