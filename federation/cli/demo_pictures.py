"""The pictures of the demo: two to confirm, their changed copies, and one that nobody confirmed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from federation.cli.files import read_file, write_file
from federation.media.drawing import draw_picture, resave
from federation.media.limits import PICTURE_BYTES_MAX
from federation.media.pool import HashingPool
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_local import check_publishable

COPY_SCALE: Final = 0.6
COPY_QUALITY: Final = 70

# Drawn pictures differ in about half of the 256 bits.
CONFIRMED_SEED: Final = 1
LATER_SEED: Final = 2
OTHER_SEED: Final = 3


@dataclass(frozen=True, slots=True)
class Pictures:
    """What each picture is recognised by: its PDQ, SHA-256 and MD5.

    Attributes:
        confirmed: the picture that the first company confirms.
        copy: the same at 60 % of its size, saved again as JPEG of quality 70.
        later: confirmed while another company is down.
        later_copy: its copy, changed alike.
        other: a picture that nobody confirms.
    """

    confirmed: tuple[Signal, ...]
    copy: tuple[Signal, ...]
    later: tuple[Signal, ...]
    later_copy: tuple[Signal, ...]
    other: tuple[Signal, ...]


def make_pictures(folder: Path, image: Path | None) -> Pictures:
    """Draw or take the pictures, change two as an upload elsewhere would have, and hash all.

    Args:
        folder: where they are written; made when missing.
        image: the user's own picture to confirm, instead of a drawn one.

    Raises:
        FederationError: the user's file is no picture, too large, or has too little detail.
    """
    with HashingPool() as pool:
        confirmed = image or folder / "confirmed.jpg"
        if image is not None:
            # First of all, by the confined workers: what they took may be decoded here as well.
            for signal in _signals_of(pool, image):
                check_publishable(signal)
        folder.mkdir(parents=True, exist_ok=True)
        if image is None:
            write_file(confirmed, draw_picture(CONFIRMED_SEED))
        later, other = folder / "later.jpg", folder / "other.jpg"
        write_file(later, draw_picture(LATER_SEED))
        write_file(other, draw_picture(OTHER_SEED))
        return Pictures(
            confirmed=_signals_of(pool, confirmed),
            copy=_signals_of(pool, _change(confirmed, folder / "confirmed-copy.jpg")),
            later=_signals_of(pool, later),
            later_copy=_signals_of(pool, _change(later, folder / "later-copy.jpg")),
            other=_signals_of(pool, other),
        )


def _change(original: Path, copy: Path) -> Path:
    picture = read_file(original, PICTURE_BYTES_MAX)
    write_file(copy, resave(picture, scale=COPY_SCALE, jpeg_quality=COPY_QUALITY))
    return copy


def _signals_of(pool: HashingPool, path: Path) -> tuple[Signal, ...]:
    found = pool.hash_picture(path)
    return (
        Signal(SignalType.PDQ, found.pdq, found.quality),
        Signal(SignalType.SHA256, found.sha256),
        Signal(SignalType.MD5, found.md5),
    )
