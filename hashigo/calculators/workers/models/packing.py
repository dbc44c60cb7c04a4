"""A network as bytes: a description and arrays, in NumPy's format without pickles, so that reading runs no code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hashigo.errors import InputError

#: Name of the description among the arrays; those of a network have a prefix.
_HEADER = "header"
_PREFIX = "state/"


def pack(header: Mapping[str, Any], state: Mapping[str, NDArray[Any]]) -> bytes:
    """Write a network; equal networks give equal bytes.

    Args:
        header: what the network is built from, JSON-serialisable.
        state: its weights and constants by name, of any shape, in the network's own units.
    """
    text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    stream = io.BytesIO()
    arrays: dict[str, Any] = {f"{_PREFIX}{name}": value for name, value in sorted(state.items())}
    np.savez(stream, **{_HEADER: text, **arrays})
    return stream.getvalue()


def unpack(blob: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what `pack` has written.

    Args:
        blob: the bytes.

    Returns:
        Header and state; arrays of any shape, in the network's own units.

    Raises:
        InputError: when the bytes are no network, or would need a pickle to be read.
    """
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as arrays:
            header = json.loads(arrays[_HEADER].tobytes().decode())
            state = {
                name.removeprefix(_PREFIX): arrays[name] for name in arrays.files if name.startswith(_PREFIX)
            }
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"the potential file holds no network that can be read: {error}") from None
    return header, state
