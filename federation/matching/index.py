"""The index a node matches with: one set per signal type, answers in one shape.

Memory and computation only. What was indexed is gone when the process ends; the store is where
signals are kept, and a node fills the index from it at start (``add_joined``, then ``rebuild``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self, TypeAlias

from federation.local_errors.content import SignalMalformed
from federation.local_errors.disk import IndexFileInvalid
from federation.matching.exact_index import ExactIndex, NoTables
from federation.matching.found import MATCHES_MAX, Matches
from federation.matching.pdq_index import PdqIndex
from federation.matching.pdq_view import PdqView, RingTables
from federation.matching.sections import Sections, below, under
from federation.matching.sorted_rows import SortedRows
from federation.matching.tlsh_index import TlshIndex
from federation.matching.value_set import RebuildJob, Rebuilt
from federation.matching.video_search import VideoSearch, VideoThresholds
from federation.matching.videos import VideoIndex
from federation.protocol.limits_content import PDQ_DISTANCE_MAX, TLSH_DISTANCE_DEFAULT
from federation.protocol.signals import IDENTITY_BYTES, VALUE_BYTES, SignalType, identity_of

VIDEO_DEFAULTS: Final = VideoThresholds()
"""vPDQ's: frames within 31 bits, of quality 50, 80 % of the asked video, 0 % of the known."""

_Set: TypeAlias = PdqIndex | ExactIndex | VideoIndex | TlshIndex
_Rebuilding: TypeAlias = PdqIndex | ExactIndex | VideoIndex


@dataclass(frozen=True, slots=True)
class RebuiltSignals:
    """One type rebuilt; for ``SignalIndex.adopt``."""

    signal_type: SignalType
    rebuilt: Rebuilt[RingTables] | Rebuilt[NoTables]

    @property
    def settled(self) -> SortedRows[Any]:
        """The new immutable part."""
        return self.rebuilt.sorted_rows

    def moved_to(self, settled: SortedRows[Any]) -> Self:
        """The same result in other memory: in a file that several processes map."""
        return replace(self, rebuilt=self.rebuilt.moved_to(settled))


@dataclass(frozen=True, slots=True)
class SignalRebuild:
    """The rebuild of one type; ``run`` may be called in any thread."""

    signal_type: SignalType
    job: RebuildJob[RingTables] | RebuildJob[NoTables]

    def run(self) -> RebuiltSignals:
        """Build the new rows and tables: seconds at ten million PDQ values."""
        return RebuiltSignals(self.signal_type, self.job.run())


class SignalIndex:
    """The signals of every type this release can match, each a set: adding twice is adding once.

    All methods belong to one thread; only ``SignalRebuild.run`` may be elsewhere. Signal types
    are ``SignalType`` or its text (``"pdq"``). A ``Found`` names a vpdq or url by its identity
    (``protocol.signals.identity_of``), any other by its value.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Be empty, as at first."""
        self._pdq = PdqIndex()
        self._videos = VideoIndex()
        self._documents = TlshIndex()
        self._exact = {
            signal_type: ExactIndex(VALUE_BYTES.get(signal_type, IDENTITY_BYTES))
            for signal_type in (SignalType.SHA256, SignalType.MD5, SignalType.URL)
        }

    def __len__(self) -> int:
        return sum(self.counts().values())

    def counts(self) -> dict[SignalType, int]:
        """How many signals of each type there are."""
        return {signal_type: len(self._set(signal_type)) for signal_type in SignalType}

    def holds(self, signal_type: str, value: bytes) -> bool:
        """Whether this very signal is indexed.

        Raises:
            SignalMalformed: an unknown type, or a value of the wrong length for it.
        """
        (kept,) = _as_kept(signal_type, (value,))
        return kept in self._set(signal_type)

    def holds_identity(self, signal_type: SignalType, identity: bytes) -> bool:
        """Whether a signal of an exact type is indexed, by what stands for it.

        Args:
            signal_type: sha256, md5 or url.
            identity: as ``protocol.signals.identity_of`` says.
        """
        return identity in self._exact[signal_type]

    def add(self, signal_type: str, value: bytes) -> bool:
        """Add one signal; it counts from now on. Returns whether it was not there already.

        Raises:
            SignalMalformed: an unknown type, or a value of the wrong length for it.
        """
        return self.add_many(signal_type, (value,)) == 1

    def add_many(self, signal_type: str, values: Iterable[bytes]) -> int:
        """Add many signals of one type; returns how many were not there already.

        Raises:
            SignalMalformed: as ``add``; batches of 65,536 before the bad value were added.
        """
        return self._set(signal_type).add(_as_kept(signal_type, values))

    def add_joined(self, signal_type: str, joined: bytes | bytearray | memoryview) -> int:
        """Add signals that stand one after the other in one buffer: the way to load millions.

        Raises:
            SignalMalformed: an unknown type, one whose values have no one length, or the buffer
                ends within a value.
        """
        known, kept_in = _known_type(signal_type), self._set(signal_type)
        if known not in VALUE_BYTES or isinstance(kept_in, VideoIndex):
            raise SignalMalformed(f"{known} values have no one length: add them one by one")
        return kept_in.add_joined(joined)

    def remove(self, signal_type: str, value: bytes) -> bool:
        """Remove one signal; it stops counting now. Returns whether it was there.

        Raises:
            SignalMalformed: an unknown type, or a value of the wrong length for it.
        """
        return self.remove_many(signal_type, (value,)) == 1

    def remove_many(self, signal_type: str, values: Iterable[bytes]) -> int:
        """Remove many signals of one type; returns how many were there.

        Raises:
            SignalMalformed: as ``remove``; batches of 65,536 before the bad value were removed.
        """
        return self._set(signal_type).remove(_as_kept(signal_type, values))

    def search(
        self,
        signal_type: str,
        value: bytes,
        distance_max: int = PDQ_DISTANCE_MAX,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> Matches:
        """Find the signals that match one; see ``search_many``.

        Raises:
            SignalMalformed: an unknown type, or a value of the wrong length for it.
            RequestMalformed: a distance outside 0 to 31, or a negative number of matches.
        """
        return self.search_many(signal_type, (value,), distance_max, matches_max=matches_max)[0]

    def search_many(
        self,
        signal_type: str,
        values: Iterable[bytes],
        distance_max: int = PDQ_DISTANCE_MAX,
        *,
        matches_max: int | None = MATCHES_MAX,
        videos: VideoThresholds = VIDEO_DEFAULTS,
        tlsh_distance_max: int = TLSH_DISTANCE_DEFAULT,
    ) -> list[Matches]:
        """Find, for each value, the signals that match it, nearest first.

        Args:
            signal_type: the type of all the values; only signals of that type match.
            values: as many as the caller bounds them to.
            distance_max: PDQ only, 0 to 31: in how many of 256 bits a match may differ. The
                exact types match only themselves, at distance 0.
            matches_max: how many of the nearest to answer each value with; None for all.
                ``Matches.total`` counts those left out too.
            videos: vpdq only: when two videos are alike.
            tlsh_distance_max: TLSH only, 0 to 100.

        Raises:
            SignalMalformed: an unknown type, or a value that breaks its grammar.
            RequestMalformed: a threshold out of its range, or a negative number of matches.
        """
        known = _known_type(signal_type)
        if known is SignalType.PDQ:
            return self._pdq.search_many(values, distance_max, matches_max=matches_max)
        if known is SignalType.VPDQ:
            return self._videos.search_many(values, videos, matches_max=matches_max)
        if known is SignalType.TLSH:
            return self._documents.search_many(values, tlsh_distance_max, matches_max=matches_max)
        return self._exact[known].search_many(_as_kept(known, values))

    # --- rebuilding, one type at a time ---------------------------------------------------------

    def needs_rebuild(self) -> bool:
        """Whether some type has gathered so many changes that it should be rebuilt."""
        return any(index.needs_rebuild() for index in self._rebuilding().values())

    def prepare_rebuild_of(self, signal_type: SignalType) -> SignalRebuild | None:
        """As :meth:`prepare_rebuild`, of one type whether it needs it or not; None of documents."""
        index = self._rebuilding().get(signal_type)
        return None if index is None else SignalRebuild(signal_type, index.prepare_rebuild())

    def prepare_rebuild(self) -> SignalRebuild | None:
        """Instantly hand out the rebuild of one type that needs it; None when none does.

        Adding, removing and searching go on while it runs. Then ``adopt`` what it returns, before
        preparing another one.
        """
        for signal_type, index in self._rebuilding().items():
            if index.needs_rebuild():
                return SignalRebuild(signal_type, index.prepare_rebuild())
        return None

    def adopt(self, rebuilt: RebuiltSignals) -> bool:
        """Put what was rebuilt in its place; nothing added or removed meanwhile is lost.

        Returns:
            False, with nothing changed, when a later rebuild of that type superseded this one.
        """
        # A SignalRebuild pairs the type with what that type's own set prepared.
        index = self._rebuilding()[rebuilt.signal_type]
        return index.adopt(rebuilt.rebuilt)  # type: ignore[arg-type]  # see above

    def rebuild(self) -> None:
        """Rebuild here and now whatever needs it: at start, after loading from the store."""
        while (work := self.prepare_rebuild()) is not None:
            self.adopt(work.run())

    # --- a copy elsewhere: on disk, in another process ------------------------------------------

    def settled(self) -> dict[SignalType, SortedRows[Any]]:
        """The immutable part of each type that has one: nearly all of what the index takes."""
        return {kind: _rows_of(index).settled for kind, index in self._rebuilding().items()}

    def changes(self, signal_types: Iterable[SignalType] = tuple(SignalType)) -> Sections:
        """What distinguishes some types from :meth:`settled`, all together; all copies."""
        found: dict[str, Any] = {}
        for signal_type in signal_types:
            index = self._set(signal_type)
            found |= under(signal_type.value, index.changes())
        return found

    def restore_sorted(self, signal_type: SignalType, sections: Sections) -> SortedRows[Any]:
        """The immutable part of one type from its arrays; changes nothing, for any thread.

        Raises:
            IndexFileInvalid: they are not such arrays.
        """
        index = self._rebuilding().get(signal_type)
        if index is None:
            raise IndexFileInvalid(f"{signal_type} signals have no sorted rows")
        return _rows_of(index).restore_sorted(sections)

    def install(self, settled: Mapping[SignalType, SortedRows[Any]], changes: Sections) -> None:
        """Become the index that ``settled`` and ``changes`` describe.

        Args:
            settled: of each type that has one, or of some types: the others stay as they are.
            changes: of the same types, and of tlsh where all are given.

        Raises:
            IndexFileInvalid: they do not fit each other; the index is of no use then.
        """
        for signal_type, rows in settled.items():
            self._rebuilding()[signal_type].install(rows, below(changes, signal_type.value))
        if documents := below(changes, SignalType.TLSH.value):
            self._documents.install(documents)

    def prepare_videos(
        self,
        values: Iterable[bytes],
        thresholds: VideoThresholds,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> VideoSearch:
        """A search among videos that may run in another thread: a flood of copies takes a second.

        Raises:
            SignalMalformed: a value is no list of frames.
            RequestMalformed: a threshold out of its range.
        """
        return self._videos.prepare_search(values, thresholds, matches_max=matches_max)

    def view_of_pictures(self) -> PdqView:
        """The PDQ values as they are now, for searching in another thread."""
        return self._pdq.view()

    def _rebuilding(self) -> dict[SignalType, _Rebuilding]:
        """The sets that have something to rebuild; a list of documents has not."""
        return {SignalType.PDQ: self._pdq, SignalType.VPDQ: self._videos, **self._exact}

    def _set(self, signal_type: str) -> _Set:
        known = _known_type(signal_type)
        if known is SignalType.PDQ:
            return self._pdq
        if known is SignalType.VPDQ:
            return self._videos
        return self._documents if known is SignalType.TLSH else self._exact[known]


def _rows_of(index: _Rebuilding) -> PdqIndex | ExactIndex:
    """The set of rows behind one type."""
    return index.frames if isinstance(index, VideoIndex) else index


def _known_type(signal_type: str) -> SignalType:
    try:
        return SignalType(signal_type)
    except ValueError:
        raise SignalMalformed("this release cannot match signals of that type") from None


def _as_kept(signal_type: str, values: Iterable[bytes]) -> Iterable[bytes]:
    """What an exact set keeps of values without one length: their identities."""
    if signal_type != SignalType.URL:
        return values
    return [identity_of(SignalType.URL, value) for value in values]


def warm_up() -> None:
    """Compile every kernel, or load it from the cache, so that the first request need not wait."""
    values = (
        (SignalType.PDQ, bytes(32)),
        (SignalType.MD5, bytes(16)),
        (SignalType.TLSH, bytes(35)),
    )
    index = SignalIndex()
    for signal_type, value in values:
        index.add(signal_type, value)
        index.search(signal_type, value)
        index.remove(signal_type, value)
    few = PdqIndex(scan_rows_max=0)
    few.add((bytes(32),))
    few.rebuild()
    few.add((b"\xff" * 32,))
    few.prepare_rebuild()
    few.prepare_rebuild()
    few.search(bytes(32))
