"""numpy arrays and scalars in snapshots: kinds of fixed layout only, never objects."""

from __future__ import annotations

import math
from typing import Any, Literal

from hagane.errors import CheckpointError, StoreCorrupt

__all__ = ["put_together", "take_apart"]

# Booleans, integers, floats, complex numbers, bytes and text of fixed length, moments and durations.
KINDS = frozenset("biufcSUmM")
ARRAY, SCALAR = "numpy.ndarray", "numpy.scalar"


def take_apart(value: Any) -> tuple[str, Any] | None:
    """Give the name and content of an exact ndarray, or of a scalar; None for other things of numpy."""
    import numpy as np

    if type(value) is np.ndarray:
        _check(value.dtype)
        order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        return ARRAY, [value.dtype.str, list(value.shape), order, value.tobytes(order)]
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        _check(value.dtype)
        return SCALAR, [value.dtype.str, value.tobytes()]
    return None


def put_together(name: str, content: Any) -> Any:
    """Make an array or scalar; an array owns its memory and can be written.

    Raises:
        CheckpointError: numpy is not installed.
        StoreCorrupt: the content is not what `take_apart` gave.
    """
    try:
        import numpy as np
    except ImportError as error:
        raise CheckpointError("stored state holds numpy data, and numpy is not installed: pip install numpy") from error
    try:
        dtype = np.dtype(content[0])
        _check(dtype)
        if name == SCALAR:
            return np.frombuffer(content[1], dtype, 1)[0]
        _, shape, order, data = content
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"{len(data)} bytes do not fill shape {tuple(shape)} of {dtype}")
        return np.ndarray(tuple(shape), dtype, bytearray(data), order=order).copy(order=order)
    except (ValueError, TypeError, KeyError, IndexError, CheckpointError) as error:
        raise StoreCorrupt(f"stored state is damaged: no numpy data: {error}") from error


def _check(dtype: Any) -> None:
    if dtype.kind not in KINDS:
        raise CheckpointError(f"dtype {dtype} has no fixed layout; convert the array to numbers or text first")
