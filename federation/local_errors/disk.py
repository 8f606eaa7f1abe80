"""Our own disk or database."""

from __future__ import annotations

from federation.errors import FederationError


class StoreError(FederationError):
    """Our own disk or database."""

    code = "store-error"


class StoreFull(StoreError):
    """The disk is full; what was acknowledged before is safe."""

    code = "store-full"
    default_hint = "free some space; the node goes on by itself"


class StoreCorrupt(StoreError):
    """What was read is not what was written."""

    code = "store-corrupt"
    default_hint = "move the database away; the node rebuilds others' logs from any honest peer"


class StoreNewer(StoreError):
    """The database was written by a newer release."""

    code = "store-newer"
    default_hint = "run the release that wrote it, or a newer one"


class StoreConflict(StoreError):
    """A compare-and-swap lost: another writer moved the log."""

    code = "store-conflict"


class IndexFileInvalid(StoreError):
    """A file of the index is damaged, another node's or another release's: it is made again."""

    code = "index-file-invalid"
    default_hint = "nothing to do: the node reads its store again, which takes longer"


class NodeStarting(StoreError):
    """The node has not read its store yet, or not asked its peers, and cannot answer for it."""

    code = "node-starting"
    default_hint = "ask again when GET /readyz answers 200"


class StoreUnavailable(StoreError):
    """The database cannot be opened, read or written now: permissions, a lock, a failing disk."""

    code = "store-unavailable"
    default_hint = "check the disk, the data directory's owner, and that no copy of the node runs"
