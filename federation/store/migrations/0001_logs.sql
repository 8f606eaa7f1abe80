-- Rows are keyed by place = stem * 2^40 + index, where a stem is one branch of one log: a fork is
-- one more stem, and needs no migration.
--
-- hkey is the first 8 bytes of a hash as a signed integer. Trees keyed on it are half as large and
-- twice as fast to fill as trees keyed on whole hashes; whoever finds a row by hkey compares the
-- whole value, which stands in the statement.

CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    member TEXT NOT NULL,
    federation_id TEXT NOT NULL,
    reader_version INTEGER NOT NULL
) STRICT;

-- size and edge are what is held; head_note is the newest signed head accepted, of that size or
-- more. Both are empty between a branch's first mention and its first append.
CREATE TABLE branches (
    stem INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    branch INTEGER NOT NULL,
    size INTEGER NOT NULL DEFAULT 0,
    edge BLOB NOT NULL DEFAULT x'',
    head_size INTEGER NOT NULL DEFAULT 0,
    head_note BLOB,
    UNIQUE (origin, branch),
    CHECK (head_size >= size AND (size = 0 OR head_note IS NOT NULL))
) STRICT;

-- The body stands last: what only needs the columns before it does not touch a long body's pages.
-- commitment is kept where the opening is erased, or so long that hashing it again is dear.
-- unread: this release could not read all of it, so a later one shall try again.
CREATE TABLE statements (
    place INTEGER PRIMARY KEY,
    unread INTEGER NOT NULL,
    header BLOB NOT NULL,
    salt BLOB,
    commitment BLOB,
    body BLOB,
    CHECK ((salt IS NULL) = (body IS NULL) AND (body IS NOT NULL OR commitment IS NOT NULL))
) STRICT;

CREATE INDEX unread_statements ON statements (unread) WHERE unread = 1;

CREATE TABLE statement_ids (
    hkey INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (hkey, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE signal_places (
    hkey INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (hkey, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE reference_places (
    hkey INTEGER NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (hkey, place)
) STRICT, WITHOUT ROWID;

-- Tiles of level 1 and up. Level 0 is computed from the statements: storing it would cost every
-- statement 32 bytes more, and a proof reads two or three tiles of it at most.
CREATE TABLE tiles (
    stem INTEGER NOT NULL REFERENCES branches,
    level INTEGER NOT NULL CHECK (level > 0),
    tile INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (stem, level, tile)
) STRICT;

-- Only heads whose root is the root of the rows held here: a head is no proof before that.
-- The root is not a column, because the note says it and nothing may say it differently.
CREATE TABLE checkpoints (
    stem INTEGER NOT NULL REFERENCES branches,
    size INTEGER NOT NULL,
    cosigners INTEGER NOT NULL DEFAULT 0,
    note BLOB NOT NULL,
    PRIMARY KEY (stem, size)
) STRICT, WITHOUT ROWID;

CREATE INDEX checkpoints_by_cosigners ON checkpoints (stem, cosigners, size);

CREATE TABLE cosignatures (
    stem INTEGER NOT NULL,
    size INTEGER NOT NULL,
    member TEXT NOT NULL,
    cosigner TEXT NOT NULL,
    at_seconds INTEGER NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (stem, size, member, cosigner),
    FOREIGN KEY (stem, size) REFERENCES checkpoints (stem, size)
) STRICT, WITHOUT ROWID;

-- How far each member's word reaches, without a walk over all it ever cosigned.
CREATE TABLE newest_cosignatures (
    stem INTEGER NOT NULL REFERENCES branches,
    member TEXT NOT NULL,
    cosigner TEXT NOT NULL,
    size INTEGER NOT NULL,
    at_seconds INTEGER NOT NULL,
    PRIMARY KEY (stem, member, cosigner)
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
    evidence_no INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    content_sha256 BLOB NOT NULL UNIQUE,
    first BLOB NOT NULL,
    second BLOB NOT NULL,
    proof BLOB NOT NULL,
    seen_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX evidence_by_origin ON evidence (origin);

CREATE TABLE rosters (
    version INTEGER PRIMARY KEY,
    root BLOB NOT NULL
) STRICT;

-- Another file of a version that is already kept: evidence against governance.
CREATE TABLE rival_rosters (
    version INTEGER NOT NULL,
    root_sha256 BLOB NOT NULL,
    root BLOB NOT NULL,
    seen_at_ms INTEGER NOT NULL,
    PRIMARY KEY (version, root_sha256)
) STRICT;
