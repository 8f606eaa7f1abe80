-- Statements that open, change or close an incident: few, and all of them are looked at together.
CREATE TABLE incident_places (
    place INTEGER PRIMARY KEY
) STRICT;
