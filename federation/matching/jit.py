"""The door to numba: how a kernel is compiled, and the two machine instructions kernels use.

Kernels release the interpreter lock, are compiled on first use for the machine they run on, and
are cached on disk beside the source, or in the user's cache directory when that is read-only.
Where nothing is writable, or the disk is full, or the cache damaged, they are compiled anew, which
costs seconds, not answers.

Numba notices a changed source file by that file alone. A kernel therefore calls only kernels of
its own module, and the two intrinsics below.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# llvm.prefetch: for reading, keep in every cache level, from the data cache.
_FOR_READING, _KEEP_CLOSE, _DATA = 0, 3, 1


class _ForgivingCache(FunctionCache):  # type: ignore[misc]  # numba is untyped
    """Numba's cache on disk, where a full disk or a damaged file costs a compilation, no more."""

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(signature, target_context)
        except Exception:  # noqa: BLE001  # unpickling half a file may raise anything
            with contextlib.suppress(OSError):
                self.flush()  # or the damaged index would stay for good
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        with contextlib.suppress(OSError):
            super().save_overload(signature, compiled)


def kernel(function: Kernel) -> Kernel:
    """Compile ``function`` with numba on its first call; the interpreter lock is released in it."""
    compiled = numba.njit(nogil=True)(function)
    # "no locator available": neither the package nor the user's cache directory is writable.
    with contextlib.suppress(RuntimeError):
        compiled._cache = _ForgivingCache(function)  # noqa: SLF001  # as its enable_caching does
    return compiled  # type: ignore[no-any-return]  # numba is untyped; the wrapper calls alike


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def popcount(_typing: Any, _word: Any) -> Any:
    """The number of bits set in an unsigned 64-bit word, as a signed integer."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def smaller(_typing: Any, _one: Any, _other: Any) -> Any:
    """The smaller of two signed 64-bit integers, in a form that loops of it become SIMD."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_signed("<", *arguments), *arguments)

    return types.int64(types.int64, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def differing_bits(_typing: Any, _one: Any, _other: Any) -> Any:
    """In how many bits two unsigned 16-bit numbers differ, as a signed integer."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.ctpop(builder.xor(*arguments))
        return builder.zext(bits, context.get_value_type(types.int64))

    return types.int64(types.uint16, types.uint16), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def fewer_differing(_typing: Any, _fewest: Any, _one: Any, _other: Any) -> Any:
    """The smaller of ``fewest`` and the number of bits in which two 16-bit numbers differ.

    All in 16 bits, which numba's own arithmetic would widen: 32 of them fit a 512-bit register.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        fewest, one, other = arguments
        bits = builder.ctpop(builder.xor(one, other))
        return builder.select(builder.icmp_unsigned("<", bits, fewest), bits, fewest)

    return types.uint16(types.uint16, types.uint16, types.uint16), generate


@intrinsic  # type: ignore[untyped-decorator]  # numba is untyped
def prefetch(_typing: Any, array: Any, _index: Any) -> Any:
    """Ask for the cache line of ``array[index]`` (a row, in two dimensions) without waiting."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array_type = signature.args[0]
        place = context.make_array(array_type)(context, builder, arguments[0])
        zero = ir.Constant(arguments[1].type, 0)
        indices = [arguments[1]] + [zero] * (array_type.ndim - 1)
        pointer = cgutils.get_item_pointer(context, builder, array_type, place, indices)
        byte_pointer = builder.bitcast(pointer, cgutils.voidptr_t)
        int32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, int32, int32, int32])
        instruction = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        how = [ir.Constant(int32, value) for value in (_FOR_READING, _KEEP_CLOSE, _DATA)]
        builder.call(instruction, [byte_pointer, *how])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
