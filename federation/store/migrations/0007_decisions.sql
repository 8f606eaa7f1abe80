-- What people here decided about known signals, and what is held back until they do. A signal stands
-- by type and identity; its rows go when the statements that carried it are erased.
CREATE TABLE findings (
    signal_type TEXT NOT NULL,
    identity BLOB NOT NULL,
    finding TEXT NOT NULL CHECK (finding IN ('confirmed', 'rejected')),
    reason TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (signal_type, identity)
) STRICT, WITHOUT ROWID;

CREATE TABLE quarantine (
    signal_type TEXT NOT NULL,
    identity BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('quarantined', 'released', 'excepted')),
    reason TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    decided_at_ms INTEGER,
    matches INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (signal_type, identity)
) STRICT, WITHOUT ROWID;
