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
        layout = _layout(value.dtype)
        if not value.dtype.itemsize:
            raise CheckpointError(
                f"dtype {value.dtype} has no width, which numpy does not keep; give it one: astype('U1')"
            )
        order: Literal["C", "F"] = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
        return ARRAY, [layout, list(value.shape), order, value.tobytes(order)]
    if isinstance(value, np.generic) and not isinstance(value, np.void):
        return SCALAR, [_layout(value.dtype), _bytes(value)]
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
            return _scalar(dtype, content[1])
        _, shape, order, data = content
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ValueError(f"{len(data)} bytes do not fill shape {tuple(shape)} of {dtype}")
        return np.ndarray(tuple(shape), dtype, bytearray(data), order=order).copy(order=order)
    except (ValueError, TypeError, KeyError, IndexError, CheckpointError) as error:
        raise StoreCorrupt(f"stored state is damaged: no numpy data: {error}") from error


def _bytes(value: Any) -> bytes:
    """Return a scalar's bytes; `tobytes` has a NUL for the empty text, which has none."""
    return value.tobytes()[: value.dtype.itemsize]  # type: ignore[no-any-return]


def _scalar(dtype: Any, data: bytes) -> Any:
    import numpy as np

    # An item of an array ends at its last character that is not NUL; a scalar keeps all it has.
    if dtype.kind == "S":
        return np.bytes_(data[: dtype.itemsize])
    if dtype.kind == "U":
        encoding = "utf-32-be" if dtype.str[0] == ">" else "utf-32-le"
        return np.str_(data[: dtype.itemsize].decode(encoding, "surrogatepass"))
    return np.frombuffer(data, dtype, 1)[0]


def _layout(dtype: Any) -> str:
    """Return what `numpy.dtype` makes this very dtype of; CheckpointError if there is nothing."""
    import numpy as np

    _check(dtype)
    if dtype.metadata is not None:
        raise CheckpointError(
            f"dtype {dtype} carries metadata, which would be lost; convert it to the plain dtype first"
        )
    # Two types of C may have one layout, such as long and long long; their letters differ.
    name = str(dtype.str)
    return name if np.dtype(name).char == dtype.char else name[0] + str(dtype.char)


def _check(dtype: Any) -> None:
    if dtype.kind not in KINDS:
        raise CheckpointError(f"dtype {dtype} has no fixed layout; convert the array to numbers or text first")
