"""Draws pictures that look like photographs of a landscape, for demonstrations and benchmarks.

Nobody needs a folder of photographs, let alone of harmful ones, to try this product: a seed gives a
picture with the statistics of one (1/f noise, ridges in haze, light from one side), another seed
another picture, and ``resave`` the copy that an upload elsewhere would have made of it. The same
seed gives the same bytes with the same versions of numpy and Pillow.

Lengths are in picture heights, and colours linear from 0 to 1, until the picture is developed.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

WIDTH: Final = 1024
HEIGHT: Final = 768
JPEG_QUALITY: Final = 90

_Floats = npt.NDArray[np.float32]

# Colours of the sky above, the sky at the horizon, the light and the ground.
_MOODS: Final = (
    ((0.10, 0.25, 0.62), (0.62, 0.76, 0.90), (1.00, 0.96, 0.88), (0.15, 0.19, 0.07)),  # noon
    ((0.12, 0.12, 0.34), (0.98, 0.50, 0.22), (1.00, 0.62, 0.30), (0.13, 0.10, 0.07)),  # evening
    ((0.42, 0.46, 0.50), (0.78, 0.80, 0.80), (0.85, 0.87, 0.90), (0.13, 0.15, 0.09)),  # overcast
    ((0.30, 0.34, 0.58), (0.95, 0.74, 0.66), (1.00, 0.82, 0.66), (0.18, 0.16, 0.12)),  # dawn
)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What all parts of one picture share; ``rows`` is a column of 0 to 1, ``columns`` a row."""

    rng: np.random.Generator
    rows: _Floats
    columns: _Floats
    zenith: _Floats
    haze: _Floats
    light: _Floats
    ground: _Floats
    sun_row: float
    sun_column: float
    soft: _Floats
    rough: _Floats

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in pixels."""
        return self.rows.shape[0], self.columns.shape[1]

    def shifted(self, noise: _Floats) -> _Floats:
        """The scene's noise moved to another place: as good as new and cheaper."""
        rows, columns = self.shape
        by = (int(self.rng.integers(rows)), int(self.rng.integers(columns)))
        return np.roll(noise, by, (0, 1))


def draw_picture(seed: int, *, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """Draw the landscape of a seed (0 or more), each side of 16 pixels or more, as a JPEG file."""
    return _encode_jpeg(
        Image.fromarray(draw_pixels(seed, width=width, height=height)), JPEG_QUALITY
    )


def resave(picture: bytes, *, scale: float = 0.6, jpeg_quality: int = 70) -> bytes:
    """Scale and recompress a picture to a JPEG file, as platforms do to an upload.

    Args:
        picture: one of ours, or a file that the pool has hashed before: it is decoded right here.
        scale: of each side.
        jpeg_quality: 1 to 95.
    """
    with Image.open(io.BytesIO(picture)) as stored:
        original = _on_white(ImageOps.exif_transpose(stored))
    size = (max(1, round(original.width * scale)), max(1, round(original.height * scale)))
    return _encode_jpeg(original.resize(size, Image.Resampling.LANCZOS), jpeg_quality)


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    page = Image.new("RGB", picture.size, "white")
    page.paste(layer, mask=layer.getchannel("A"))
    return page


def draw_pixels(seed: int, *, width: int = WIDTH, height: int = HEIGHT) -> npt.NDArray[np.uint8]:
    """Draw the landscape of a seed (0 or more), as rows x columns x RGB."""
    scene = _imagine(np.random.default_rng(seed), width, height)
    rng = scene.rng
    picture = _draw_sky(scene)
    tops = np.sort(rng.uniform(0.32, 0.92, int(rng.integers(3, 7))))
    for rank, top in enumerate(tops, start=1):
        _draw_ridge(picture, scene, float(top), nearness=rank / len(tops))
    if rng.random() < 0.4:  # noqa: PLR2004 -- two landscapes of five have a lake
        _draw_lake(picture, scene, shore=rng.uniform(0.6, 0.8))
    for _ in range(int(rng.integers(2, 7))):
        _draw_boulder(picture, scene)
    return _develop(picture, scene)


def _encode_jpeg(picture: Image.Image, quality: int) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality)
    return encoded.getvalue()


def _imagine(rng: np.random.Generator, width: int, height: int) -> _Scene:
    mood = _MOODS[int(rng.integers(len(_MOODS)))]
    zenith, haze, light, ground = (
        np.clip(np.array(colour) * rng.uniform(0.88, 1.12, 3), 0, 1).astype(np.float32)
        for colour in mood
    )
    return _Scene(
        rng=rng,
        rows=np.linspace(0, 1, height, dtype=np.float32)[:, None],
        columns=np.linspace(0, width / height, width, dtype=np.float32)[None, :],
        zenith=zenith,
        haze=haze,
        light=light,
        ground=ground,
        sun_row=rng.uniform(0.05, 0.35),
        sun_column=rng.uniform(0.05, 0.95) * width / height,
        soft=_noise(rng, (height, width), 1.7),
        rough=_noise(rng, (height, width), 1.3),
    )


def _noise(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> _Floats:
    """Noise of amplitude 1/frequency**slope that tiles, of mean 0 and standard deviation 1."""
    rows, columns = shape
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal(shape)) / frequency**slope
    noise = np.fft.irfft2(spectrum, shape)
    scaled: npt.NDArray[np.float64] = noise / noise.std()
    return scaled.astype(np.float32)


def _mix(under: _Floats, over: _Floats, share: _Floats) -> _Floats:
    """Lay one colour or picture over another, with an opacity per pixel."""
    return under + (over - under) * share[..., None]


def _draw_sky(scene: _Scene) -> _Floats:
    rows, columns = scene.shape
    sky = _mix(
        scene.zenith,
        scene.haze,
        np.broadcast_to(np.clip(scene.rows / 0.75, 0, 1) ** 1.3, scene.shape),
    )
    far = np.hypot(scene.rows - scene.sun_row, scene.columns - scene.sun_column)
    sky += np.exp(-far / 0.2)[..., None] * scene.light * 0.6
    clouds = scene.shifted(scene.soft)
    # A cloud is bright on the side that faces the light: compare it with itself a little off.
    facing = int(np.sign(scene.columns.mean() - scene.sun_column)) * (columns // 60)
    lit = clouds - np.roll(clouds, (rows // 60, facing), (0, 1))
    shade = np.clip(0.8 + 0.9 * lit, 0.3, 1.15)
    cloud = shade[..., None] * (0.4 * scene.haze + 0.6 * scene.light)
    cover = 1 / (1 + np.exp(-3.5 * (clouds - scene.rng.uniform(-0.5, 0.9))))
    return _mix(sky, cloud, 0.85 * cover)


def _draw_ridge(picture: _Floats, scene: _Scene, top: float, *, nearness: float) -> None:
    """Draw a range of hills under a rough crest; the farther away, the more haze before it."""
    rng, rows = scene.rng, scene.shape[0]
    relief = scene.shifted(scene.rough)
    # One row of two-dimensional noise is a profile; the soft one for hills, the rough for woods.
    profile = scene.shifted(scene.soft)[0] * 0.06 + relief[0] * rng.uniform(0.004, 0.03)
    below = scene.rows - (top + profile)
    step = max(1, rows // 250)
    slope = (relief - np.roll(relief, step, 1)) * np.sign(scene.sun_column - scene.columns)
    slope += 0.7 * (relief - np.roll(relief, step, 0))
    lit = np.clip(0.6 + 0.8 * slope + 0.22 * scene.shifted(scene.soft), 0.08, 1.5)
    tint = scene.ground * rng.uniform(0.85, 1.15, 3).astype(np.float32)
    hills = lit[..., None] * tint * (0.4 + 1.5 * scene.light)
    mist = np.clip((1 - nearness) * (0.7 + 1.1 * below), 0, 0.92)
    hills = _mix(hills, 0.9 * scene.haze, mist)
    picture += (hills - picture) * np.clip(below * rows + 0.5, 0, 1)[..., None]


def _draw_lake(picture: _Floats, scene: _Scene, *, shore: float) -> None:
    """Mirror what is above the shore, in ripples that grow towards the viewer."""
    rows, columns = scene.shape
    first = int(shore * rows)
    depth = np.arange(rows - first)[:, None]
    ripple = scene.rough[first:] * np.linspace(0.5, 8, rows - first)[:, None]
    row = np.clip(first - 1 - depth + ripple, 0, first - 1).astype(np.intp)
    column = np.clip(np.arange(columns)[None, :] + 0.3 * ripple, 0, columns - 1).astype(np.intp)
    picture[first:] = 0.6 * picture[row, column] + 0.12 * scene.zenith


def _draw_boulder(picture: _Floats, scene: _Scene) -> None:
    """Draw a rough ball of stone, lit by the sun (Lambert), and its shadow."""
    rng = scene.rng
    height, row = rng.uniform(0.02, 0.11), rng.uniform(0.75, 1.0)
    width, column = height * rng.uniform(1.0, 1.7), rng.uniform(0, float(scene.columns[0, -1]))
    rows = slice(*np.searchsorted(scene.rows[:, 0], (row - 3 * height, row + 3 * height)))
    columns = slice(*np.searchsorted(scene.columns[0], (column - 3 * width, column + 3 * width)))
    place, rough = picture[rows, columns], scene.shifted(scene.rough)[rows, columns]
    across = (scene.columns[:, columns] - column) / width
    down = (scene.rows[rows] - row) / height
    away = np.sign(column - scene.sun_column)
    shadow = np.exp(-1.2 * np.hypot(across - 0.9 * away, 2.2 * (down - 0.75)) ** 2)
    place *= (1 - 0.55 * shadow)[..., None]
    radius = np.hypot(across, down) * (1 + 0.07 * rough)
    towards_viewer = np.sqrt(np.clip(1 - radius**2, 0, 1))
    sun = np.array([scene.sun_column - column, scene.sun_row - row, 0.5])
    sun /= np.linalg.norm(sun)
    lit = np.clip(across * sun[0] + down * sun[1] + towards_viewer * sun[2], 0, 1)
    shade = np.clip(0.1 + 0.9 * lit + 0.08 * rough, 0.02, 1.3)
    stone = shade[..., None] * (0.2 + 0.4 * scene.light) * rng.uniform(0.4, 0.9)
    edge = np.clip((1 - radius) * height * scene.shape[0], 0, 1)
    place += (stone - place) * edge[..., None]


def _develop(picture: _Floats, scene: _Scene) -> npt.NDArray[np.uint8]:
    """Expose, with a lens's dark corners and a film's shoulder, gamma and grain."""
    off_centre = (scene.rows - 0.5) ** 2 + (scene.columns - scene.columns.mean()) ** 2
    exposed = 1 - np.exp(-1.7 * np.clip(picture * (1 - 0.28 * off_centre)[..., None], 0, None))
    grain = 0.008 * scene.rng.standard_normal((*scene.shape, 1))
    developed: npt.NDArray[np.float64] = np.clip(exposed ** (1 / 1.6) + grain, 0, 1)
    return np.rint(developed * 255).astype(np.uint8)
