"""Compiled loops over arrays, kept compiled from one run to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """A function compiled for the types it is called with. It leaves Python's lock, so that threads run at once.

    The machine code is kept beside the module, or in the user's cache folder; where neither can be written, as in
    some containers, it is made anew in each process.
    """
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba finds no folder
        return njit(nogil=True)(function)
