"""Canonical JSON, digests, named seeds and draws by id: the only hashing and the only randomness."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

_U64 = np.uint64


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN, sets refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(*values: Any) -> str:
    """128 bits of blake2b over the canonical JSON of the values, as 32 hexadecimal digits."""
    return hashlib.blake2b(canonical(values).encode(), digest_size=16).hexdigest()


def file_digest(path: Path, kind: str = "sha256") -> str:
    """The sha256 of a file's bytes, or another digest that somebody published, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def text_digests(texts: Iterable[str]) -> list[str]:
    """128 bits of blake2b of each text, as 32 hexadecimal digits."""
    return [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts]


def seed_for(seed: int, name: str) -> int:
    """The 64-bit seed of one named use, so that a stage added elsewhere changes no other's draws."""
    raw = hashlib.blake2b(f"{seed}\x00{name}".encode(), digest_size=8).digest()
    return int.from_bytes(raw, "little")


def draws(ids: Iterable[str]) -> pl.Series:
    """One 64-bit number an id: the only source of chance about a record. Shape (n,), dtype UInt64."""
    raw = b"".join(hashlib.blake2b(id.encode(), digest_size=8).digest() for id in ids)
    return pl.Series("draw", np.frombuffer(raw, dtype="<u8").astype(_U64), dtype=pl.UInt64)


def mix(draw: pl.Series, seed: int) -> pl.Series:
    """Draws of a named seed, independent of those of any other seed. Shape (n,), dtype UInt64.

    The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over `draw + seed`.
    """
    with np.errstate(over="ignore"):
        z = _finalised(draw.to_numpy().astype(_U64) + _U64(seed))
    return pl.Series(draw.name, z, dtype=pl.UInt64)


def shares(draw: pl.Series, seed: int) -> pl.Series:
    """Draws of a named seed as numbers in [0, 1). Shape (n,), dtype Float64."""
    return pl.Series(draw.name, (mix(draw, seed).to_numpy() >> _U64(11)) * 2.0**-53)


def bytes_digest(content: bytes | memoryview) -> str:
    """The sha256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _finalised(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of SplitMix64, in which arrays wrap around."""
    z = z + _U64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> _U64(30))) * _U64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> _U64(27))) * _U64(0x94D049BB133111EB)
    return z ^ (z >> _U64(31))
