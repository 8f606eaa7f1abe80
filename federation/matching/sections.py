"""Arrays with names, as they stand in a file or travel to another process, and back.

Pure: what is made here is a description (plain values) and buffers; who writes them somewhere is
the store. Arrays are little-endian, as on every machine this runs on; another one refuses them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from federation.local_errors.disk import IndexFileInvalid

Sections: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Arrays by name."""

_DTYPES: Final = {name: np.dtype(name) for name in ("u1", "<u2", "<u4", "<u8")}
_DIMENSIONS_MAX: Final = 2


def describe_sections(sections: Sections) -> tuple[list[list[Any]], list[memoryview]]:
    """Turn arrays into plain values and bytes.

    Returns:
        For each array its name, element type and shape; and its bytes, not copied where they lie
        in one piece.
    """
    described: list[list[Any]] = []
    buffers: list[memoryview] = []
    for name, array in sections.items():
        whole = np.ascontiguousarray(array)
        described.append([name, _text_of(whole.dtype), list(whole.shape)])
        buffers.append(whole.reshape(-1).view(np.uint8).data)
    return described, buffers


def read_sections(described: Any, buffers: Sequence[memoryview]) -> dict[str, npt.NDArray[Any]]:
    """The inverse of :func:`describe_sections`; the arrays lie in the buffers they are given.

    Raises:
        IndexFileInvalid: the description does not fit the bytes, or another machine's.
    """
    if not isinstance(described, list) or len(described) != len(buffers):
        raise IndexFileInvalid("the description of the index does not fit its parts")
    sections: dict[str, npt.NDArray[Any]] = {}
    for each, buffer in zip(described, buffers, strict=True):
        match each:
            case [str(name), str(dtype), list(shape)] if dtype in _DTYPES and _is_shape(shape):
                kind = _DTYPES[dtype]
            case _:
                raise IndexFileInvalid("the description of the index cannot be read")
        if prod(shape) * kind.itemsize != buffer.nbytes:
            raise IndexFileInvalid(f"{name}: not as many bytes as its shape says")
        sections[name] = np.frombuffer(buffer, dtype=kind).reshape(shape)
    return sections


def take_section(
    sections: Sections, name: str, dtype: Any, shape: tuple[int | None, ...]
) -> npt.NDArray[Any]:
    """One array, of the type and shape that it must have; None stands for any length.

    Raises:
        IndexFileInvalid: it is missing, or another one.
    """
    array = sections.get(name)
    if array is None or array.dtype != dtype or array.ndim != len(shape):
        raise IndexFileInvalid(f"{name}: missing, or of another type")
    if any(wanted not in {None, length} for wanted, length in zip(shape, array.shape, strict=True)):
        raise IndexFileInvalid(f"{name}: of another shape")
    return array


def below(sections: Sections, name: str) -> dict[str, npt.NDArray[Any]]:
    """The sections under ``name/``, without that."""
    start = f"{name}/"
    return {key[len(start) :]: array for key, array in sections.items() if key.startswith(start)}


def under(name: str, sections: Sections) -> dict[str, npt.NDArray[Any]]:
    """The same sections with ``name/`` before their names; the inverse of :func:`below`."""
    return {f"{name}/{key}": array for key, array in sections.items()}


def _text_of(dtype: np.dtype[Any]) -> str:
    if sys.byteorder != "little":
        raise IndexFileInvalid("an index file is written on little-endian machines only")
    text = next((name for name, kind in _DTYPES.items() if kind == dtype), None)
    if text is None:
        raise TypeError(f"no section holds {dtype}")  # the program's own mistake
    return text


def _is_shape(shape: list[Any]) -> bool:
    return len(shape) <= _DIMENSIONS_MAX and all(
        type(length) is int and length >= 0 for length in shape
    )
