"""A picture file's bytes -> its PDQ and quality, from the full-size picture as people see it.

Decodes hostile bytes with libraries written in C, so only a worker process (``worker``) and tests
import this module. What is hashed:

- the file's first frame, at full size: scaling down first moves PDQ by 2 to 14 bits;
- upright, as the Exif orientation says, because that is what every viewer shows;
- transparent pictures flattened onto white, palettes and greys as their colours.

For an opaque upright RGB, grey or RGBA picture the result is bit for bit that of Meta's
``threatexchange``; docs/internals/media.md tells where and why others differ.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pdqhash
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    WebPImagePlugin,
)

from federation.local_errors.content import PictureTooLarge, PictureUnreadable
from federation.media.limits import PICTURE_BYTES_MAX, PICTURE_PIXELS_MAX

# What browsers show and phones and screenshots make; each further decoder is attack surface.
# Named through their modules, so that Pillow finds them loaded and does not load all the others.
PICTURE_FORMATS: Final = (
    JpegImagePlugin.JpegImageFile.format,
    PngImagePlugin.PngImageFile.format,
    WebPImagePlugin.WebPImageFile.format,
    GifImagePlugin.GifImageFile.format,
    BmpImagePlugin.BmpImageFile.format,
)

# "RIFF", length, "WEBPVP8X", chunk length, flags, then width and height less one, 24 bits each.
_WEBP_EXTENDED: Final = re.compile(rb"RIFF.{4}WEBPVP8X.{4}.{4}(.{3})(.{3})", re.DOTALL)

_EXIF_ORIENTATION: Final = 0x0112
# Exif 2.3 §4.6.4 A: how to turn the stored picture upright; 1 is upright already.
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class PicturePdq:
    """PDQ of a picture; its repr does not show it.

    Attributes:
        pdq: 32 bytes, the most significant bit of the first byte first, as in Meta's hex.
        quality: 0 (flat) to 100 (detailed); under 5 pixels wide or high it is 0, and so is pdq.
    """

    pdq: bytes = field(repr=False)
    quality: int


def pdq_of_picture(
    content: bytes,
    *,
    file_bytes_max: int = PICTURE_BYTES_MAX,
    pixels_max: int = PICTURE_PIXELS_MAX,
) -> PicturePdq:
    """Decode a picture file and compute its PDQ.

    The algorithm is Meta's (https://github.com/facebook/ThreatExchange/tree/main/pdq), and so is
    the code that runs, by way of ``pdqhash``.

    Raises:
        PictureUnreadable: not a picture of PICTURE_FORMATS, or broken, truncated, or empty.
        PictureTooLarge: the file or its pixels are over the limit, or memory ran out (then the
            cause is the MemoryError).
    """
    if len(content) > file_bytes_max:
        raise PictureTooLarge(f"the picture file is longer than {file_bytes_max} bytes")
    try:
        with warnings.catch_warnings():
            # Pillow warns of much that is harmless, and prints it; of a bomb it must not only warn.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            pixels = _decode_pixels(content, pixels_max)
        vector, quality = pdqhash.compute(pixels)
    except (PictureTooLarge, PictureUnreadable):
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise PictureTooLarge(f"the picture has more than {pixels_max} pixels") from None
    except MemoryError as shortage:
        raise PictureTooLarge("the picture needs more memory than allowed") from shortage
    except Exception:  # noqa: BLE001 -- Pillow documents no closed set; SyntaxError is one of it
        raise PictureUnreadable("the file is no readable picture, or is truncated") from None
    return PicturePdq(pdq=np.packbits(vector).tobytes(), quality=int(quality))


def _decode_pixels(content: bytes, pixels_max: int) -> npt.NDArray[np.uint8]:
    """Decode to rows x columns x 3; Pillow's own copy is free again when this returns."""
    _check_pixels(_webp_canvas(content), pixels_max)
    with Image.open(io.BytesIO(content), formats=PICTURE_FORMATS) as picture:
        _check_pixels(picture.size, pixels_max)
        picture.load()
        turn = _UPRIGHT.get(_exif_orientation(picture))
        shown = _as_shown(picture)
        return np.asarray(shown if turn is None else shown.transpose(turn))


def _check_pixels(size: tuple[int, int], pixels_max: int) -> None:
    if size[0] * size[1] > pixels_max:
        raise PictureTooLarge(f"the picture has more than {pixels_max} pixels")


def _webp_canvas(content: bytes) -> tuple[int, int]:
    """Read an extended WebP file's canvas size, (0, 0) for anything else.

    libwebp allocates the canvas, up to 2^32 pixels, before Pillow tells the size
    (https://developers.google.com/speed/webp/docs/riff_container, "Extended File Format").
    """
    header = _WEBP_EXTENDED.match(content)
    if header is None:
        return 0, 0
    width_less_one, height_less_one = (int.from_bytes(side, "little") for side in header.groups())
    return width_less_one + 1, height_less_one + 1


def _as_shown(picture: Image.Image) -> Image.Image:
    """Convert to the 8-bit RGB that a viewer shows on a white page."""
    if picture.mode.startswith("I"):
        # 16-bit greys: Pillow's own conversion clips to white instead of scaling.
        grey = np.right_shift(np.asarray(picture), 8).astype(np.uint8)
        return Image.fromarray(grey).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    page = Image.new("RGB", picture.size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def _exif_orientation(picture: Image.Image) -> int:
    """Read the Exif orientation, 1 (upright) where there is none or it is broken, as viewers do."""
    try:
        exif = Image.Exif()
        exif.load(picture.info["exif"])
        return int(exif[_EXIF_ORIENTATION])
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 -- as above; the parser meets whatever the file's maker wrote
        return 1
