"""The bytes of a file as a stream of pieces, decompressed where its name says so.

Memory is bounded whatever a file says of itself: unpackers give out at most 1 MiB at a time, and what grows
beyond all measure is refused. A zstd frame may ask for a window of 2 GiB, as Pushshift's do; of that, memory is
taken only as far as the frame fills it, so a small frame with a large claim costs nothing.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple, Protocol

from curate.errors import SourceError
from curate.zstd import zstd

_CHUNK_BYTES: Final = 2**20
_PACKED_BYTES: Final = 64 * 2**10
_MOST_MEMORY: Final = 2**31  # for a window or dictionary: what Pushshift's zstd files ask for
_WIDE_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)

# A packed input that grows more than this, once it has come to so many bytes, is refused as a bomb. Published
# dumps grow 5 to 20 times; rows alike but for a number and a word grew 39 times (gzip) to 165 times (xz). Zeros
# grow 1,028 times in gzip, 6,781 in xz, 32,483 in zstd and 849,479 in bzip2.
MOST_GROWTH: Final = 500
GROWTH_COUNTS_FROM: Final = 256 * 2**20

_MAGIC: Final = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
}
_TAR: Final = (257, b"ustar")
_READABLE: Final = {"gzip": ".gz", "zstd": ".zst", "bzip2": ".bz2", "xz": ".xz", "zip": ".zip"}

# What the unpackers of the standard library raise for damage.
_BROKEN: Final = (
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
    lzma.LZMAError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    zstd.ZstdError,
)


class _Frame(Protocol):
    """One compressed frame, of which a file may hold several."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """A gzip member, as the other modules' decompressors show theirs."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self.needs_input = True

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out = self._member.decompress(self._member.unconsumed_tail + data, max_length)
        # Where it gave out all that was asked for, more may be waiting inside.
        self.needs_input = not self._member.unconsumed_tail and len(out) < max_length
        return out

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data


class _Codec(NamedTuple):
    name: str
    begin: Callable[[], _Frame]
    padded: bool = False  # zeros may follow a frame


_GZIP: Final = _Codec("gzip", _Gzip, padded=True)
_ZSTD: Final = _Codec(
    "zstd", lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 31})
)
_BZIP2: Final = _Codec("bzip2", bz2.BZ2Decompressor)
_XZ: Final = _Codec("xz", lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MOST_MEMORY), padded=True)
_CODECS: Final = {".gz": _GZIP, ".zst": _ZSTD, ".zstd": _ZSTD, ".bz2": _BZIP2, ".xz": _XZ}


def decompressed(path: Path) -> Iterator[bytes]:
    """The bytes of a file in pieces of at most 1 MiB, decompressed where its name says so.

    Names may end in `.gz`, `.zst`, `.zstd`, `.bz2`, `.xz` or `.zip`, which must hold a single file.

    Raises `SourceError` when it cannot be opened, or when what is compressed is damaged, cut off, an archive
    itself, or grows beyond all measure.
    """
    reached = 0
    try:
        with path.open("rb") as file:
            for chunk in _pieces(path, file):
                if not reached:
                    _refuse_archive(path, chunk)
                yield chunk
                reached += len(chunk)
                refuse_growth(path, packed=file.tell(), unpacked=reached)
    except OSError as error:
        if error.errno is None:  # what bz2 raises for damage
            raise _damaged(path, error, reached) from None
        raise SourceError(
            "this source reads files, and here is a folder"
            if path.is_dir()
            else f"the file cannot be read: {error.strerror or error}",
            where=str(path),
            next=f"give one file, or a pattern such as {path.name}/*" if path.is_dir() else "check the path",
        ) from None
    except _BROKEN as error:
        raise _damaged(path, error, reached) from None


def refuse_growth(path: Path, *, packed: int, unpacked: int) -> None:
    """Raise `SourceError` where so many packed bytes come to far more than text ever does."""
    if unpacked > GROWTH_COUNTS_FROM and unpacked > MOST_GROWTH * packed:
        raise SourceError(
            f"{packed:,} bytes unpack to {unpacked:,} and more, over {MOST_GROWTH} times as many:"
            " no text does so, and what is made to fill a disk does",
            where=str(path),
            next="if you trust it, unpack it yourself, and give what was inside",
        )


def packing(begin: bytes) -> str | None:
    """The kind of archive or compressed file that begins with these bytes, if it is one."""
    at, mark = _TAR
    if begin[at : at + len(mark)] == mark:
        return "tar"
    return next((kind for magic, kind in _MAGIC.items() if begin.startswith(magic)), None)


def _refuse_archive(path: Path, begin: bytes) -> None:
    kind = packing(begin)
    if kind is None:
        return
    if _is_packed(path):
        raise SourceError(
            f"all that is packed in it is {kind} again, an archive in an archive",
            where=str(path),
            next="unpack it once, and give what was inside",
        )
    suffix = _READABLE.get(kind)
    raise SourceError(
        f"the file is {kind}, though its name does not say so",
        where=str(path),
        next=f"let its name end in {suffix}" if suffix else "unpack it, and give what was inside",
    )


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() in {*_CODECS, ".zip"}


def _pieces(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    suffix = path.suffix.lower()
    if suffix == ".zip":
        yield from _unzipped(path, file)
    elif suffix in _CODECS:
        yield from _frames(_CODECS[suffix], file)
    else:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _frames(codec: _Codec, file: IO[bytes]) -> Iterator[bytes]:
    """What the frames of a file hold, one after another."""
    begin, packed = 0, file.read(_PACKED_BYTES)
    while packed:
        try:
            packed = yield from _frame(codec.begin(), packed, file)
        except (EOFError, OSError, ValueError, lzma.LZMAError, zlib.error, zstd.ZstdError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # without one, it is bz2's word for damage
                raise
            raise EOFError(f"{error}, in the {codec.name} frame that begins at byte {begin:,} of it") from None
        while codec.padded and packed and not (packed := packed.lstrip(b"\0")):
            packed = file.read(_PACKED_BYTES)
        begin = file.tell() - len(packed)


def _frame(frame: _Frame, packed: bytes, file: IO[bytes]) -> Generator[bytes, None, bytes]:
    """What one frame holds; returns packed bytes that follow it, if there are any."""
    while not frame.eof:
        if frame.needs_input and not packed and not (packed := file.read(_PACKED_BYTES)):
            raise EOFError("it ends early")
        if out := frame.decompress(packed, _CHUNK_BYTES):
            yield out
        packed = b""
    return frame.unused_data or file.read(_PACKED_BYTES)


def _unzipped(path: Path, file: IO[bytes]) -> Iterator[bytes]:
    """What the only file of a zip archive holds."""
    with zipfile.ZipFile(file) as archive:
        members = [member for member in archive.infolist() if not member.filename.endswith("/")]
        if len(members) != 1:
            some = ", ".join(member.filename for member in members[:5]) + (", …" if len(members) > 5 else "")
            raise SourceError(
                f"the archive holds {len(members):,} files, and one is read" + (f": {some}" if some else ""),
                where=str(path),
                next="unpack it, and give what was inside",
            )
        [member] = members
        if member.flag_bits & 1:
            raise locked(path)
        with archive.open(member) as unpacked:
            while chunk := unpacked.read(_CHUNK_BYTES):
                yield chunk


def locked(path: Path) -> SourceError:
    """The error for an archive that asks for a password."""
    return SourceError(
        "what is packed in it is encrypted, and asks for a password",
        where=str(path),
        next="unpack it with the password, and give what was inside",
    )


def _damaged(path: Path, error: Exception, reached: int) -> SourceError:
    return SourceError(
        f"the file is cut off or damaged: {error or type(error).__name__}",
        where=f"{path}, after byte {reached} of what it holds",
        next="get it again, and compare its size or checksum with the published one",
    )


def first_text(path: Path, chunks: Iterator[bytes]) -> tuple[int, bytes]:
    """The first of a text file's chunks that is not blank, without its byte order mark, and its offset.

    Raises `SourceError` when there is none, or when the mark is that of UTF-16 or UTF-32.
    """
    chunk = b""
    while len(chunk) < 4 and (more := next(chunks, b"")):  # so that a mark is whole
        chunk += more
    if not chunk:
        raise SourceError("the file is empty", where=str(path), next="check how it was made, or leave it out")
    offset = 0
    if chunk.startswith(codecs.BOM_UTF8):
        offset, chunk = len(codecs.BOM_UTF8), chunk[len(codecs.BOM_UTF8) :]
    elif chunk.startswith(_WIDE_MARKS):
        raise SourceError(
            "the file is UTF-16 or UTF-32, not UTF-8",
            where=str(path),
            next="convert it, such as with iconv -t UTF-8",
        )
    while not chunk or chunk.isspace():
        offset += len(chunk)
        chunk = next(chunks, b"")
        if not chunk:
            raise SourceError("the file is blank", where=str(path), next="check how it was made, or leave it out")
    return offset, chunk
