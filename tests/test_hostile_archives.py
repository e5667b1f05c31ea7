"""7z archives as an attacker would send them: refused with a reason, in bounded memory, and alone in a crash."""

import random
import struct
import subprocess
import sys
import time
import zlib
from contextlib import suppress

import psutil
import pytest
from py7zr import FILTER_BZIP2, FILTER_COPY, FILTER_LZMA2, FILTER_PPMD, SevenZipFile
from py7zr.properties import DefaultFilters

from curate import archives
from curate.archives import member_size, stream_member
from curate.errors import SourceError
from tests.memory import peak_mb

TEXT = b"".join(b"line %d, which says something\n" % number for number in range(5_000))
PPMD = [{"id": FILTER_PPMD, "order": 6, "mem": 16}]
MB = 2**20


def archived(path, *members, filters=None, password=None):
    with SevenZipFile(path, "w", filters=filters, password=password) as archive:
        for name, content in members:
            archive.writestr(content, name)
    return path


def renamed(path, *names):
    """Give the members of an archive other names of the same length, as its own tools would not."""
    with SevenZipFile(path, "w", filters=[{"id": FILTER_COPY}]) as archive:
        archive.set_encoded_header_mode(False)
        for before, _ in names:
            archive.writestr(TEXT + before.encode(), before)
    content = bytearray(path.read_bytes())
    for before, after in names:
        assert len(before) == len(after)
        at = content.rindex(before.encode("utf-16-le"))
        content[at : at + 2 * len(before)] = after.encode("utf-16-le")
    return resealed(path, content)


def resealed(path, content):
    """Write an archive whose checksums of the table of contents are right."""
    at, size = struct.unpack("<QQ", content[12:28])
    content[28:32] = struct.pack("<I", zlib.crc32(content[32 + at : 32 + at + size]))
    content[8:12] = struct.pack("<I", zlib.crc32(content[12:32]))
    path.write_bytes(content)
    return path


def read(path, member="Posts.xml"):
    return b"".join(stream_member(path, member))


def refused_member(path, match, member="Posts.xml"):
    for call in (member_size, lambda *both: list(stream_member(*both))):
        with pytest.raises(SourceError, match=match) as caught:
            call(path, member)
        assert caught.value.where == str(path)
        assert caught.value.next


def test_a_member_that_comes_shorter_than_the_archive_says_is_an_error(tmp_path, monkeypatch):
    # A table of contents can have py7zr unpack nothing at all, and say nothing.
    monkeypatch.setattr(archives, "unpack", lambda _archive, _member, put: put(b"some"))
    path = archived(tmp_path / "a.7z", ("Posts.xml", TEXT))
    with pytest.raises(SourceError, match=f"4 bytes came, of {len(TEXT):,}"):
        read(path)


@pytest.mark.parametrize("evil", ["../../ab.xml", "/etc/ab1.xml", "C:\\abcde.xml"])
def test_names_that_lead_out_of_the_folder_lead_nowhere(tmp_path, evil):
    (tmp_path / "in").mkdir()
    archive = renamed(
        tmp_path / "in" / "a.7z",
        ("abcdefgh.xml", evil),
        ("Posts.xml", "Posts.xml"),
    )
    assert read(archive) == TEXT + b"Posts.xml"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.7z", "in"]


def test_a_member_that_is_there_twice_is_refused(tmp_path):
    archive = renamed(tmp_path / "a.7z", ("Pists.xml", "Posts.xml"), ("Posts.xml", "Posts.xml"))
    refused_member(archive, r"2 members called 'Posts\.xml'")


def test_a_link_is_refused(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "Posts.xml").symlink_to("secret")
    with SevenZipFile(tmp_path / "a.7z", "w") as archive:
        archive.write(tmp_path / "Posts.xml", "Posts.xml")
    refused_member(tmp_path / "a.7z", "is a link")


def test_an_archive_of_archives_says_so(tmp_path):
    inner = archived(tmp_path / "inner.7z", ("Posts.xml", TEXT)).read_bytes()
    refused_member(archived(tmp_path / "a.7z", ("inner.7z", inner)), r"archives again, such as 'inner\.7z'")


@pytest.mark.parametrize("hidden", [False, True])
def test_an_encrypted_archive_says_so(tmp_path, hidden):
    with SevenZipFile(tmp_path / "a.7z", "w", password="secret", header_encryption=hidden) as archive:
        archive.writestr(TEXT, "Posts.xml")
    refused_member(tmp_path / "a.7z", "encrypted")


def test_members_of_one_solid_block_come_one_by_one(tmp_path):
    members = [(f"{number}.xml", TEXT + b"%d" % number) for number in range(5)]
    archive = archived(tmp_path / "a.7z", *members, filters=[{"id": FILTER_LZMA2, "preset": 0}])
    assert [read(archive, name) for name, _ in reversed(members)] == [content for _, content in reversed(members)]


def test_a_bomb_in_an_archive_is_refused_before_it_is_unpacked(tmp_path):
    bomb = archived(tmp_path / "a.7z", ("Posts.xml", bytes(300 * MB)), filters=[{"id": FILTER_LZMA2, "preset": 0}])
    assert bomb.stat().st_size < MB
    begun = time.process_time()
    refused_member(bomb, "over 500 times as many")
    assert time.process_time() - begun < 1


def test_what_repeats_below_the_limit_is_unpacked_in_bounded_memory(tmp_path):
    member = ("Posts.xml", bytes(200 * MB))
    archive = archived(tmp_path / "a.7z", member, filters=[{"id": FILTER_LZMA2, "preset": 0}])
    program = "print(sum(map(len, stream_member(Path(sys.argv[1]), 'Posts.xml'))))"
    peak, said = peak_mb(program, archive)
    assert said == [str(200 * MB)]
    assert peak < 450, peak  # py7zr takes out 128 MB at a time, and copies it


def test_damaged_tables_of_contents_are_errors(tmp_path):
    with SevenZipFile(tmp_path / "whole.7z", "w", filters=[{"id": FILTER_BZIP2}]) as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(TEXT, "Comments.xml")
        archive.writestr(TEXT, "Posts.xml")
    whole = (tmp_path / "whole.7z").read_bytes()
    [at] = struct.unpack("<Q", whole[12:20])
    chance, refusals = random.Random(7), 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(32 + at, len(content))] = chance.choice([0, 1, 255, chance.randrange(256)])
        path = resealed(tmp_path / "a.7z", content)
        try:
            assert member_size(path, "Posts.xml") == len(read(path))
        except SourceError:
            refusals += 1
    assert refusals > 100


# ── PPMd, whose decoder may crash ──


@pytest.fixture
def ppmd(tmp_path):
    return archived(tmp_path / "a.7z", ("Comments.xml", TEXT), ("Posts.xml", TEXT * 20), filters=PPMD)


def test_ppmd_is_unpacked_by_a_process_of_its_own(ppmd):
    assert member_size(ppmd, "Posts.xml") == len(TEXT) * 20
    assert read(ppmd) == TEXT * 20


@pytest.fixture
def children():
    """The processes that this test has started; others, such as a tracker of resources, may be there already."""
    before = psutil.Process().children(recursive=True)
    return lambda: [each for each in psutil.Process().children(recursive=True) if each not in before]


def test_damaged_ppmd_brings_down_nobody_else(ppmd, children):
    whole, chance, reasons = ppmd.read_bytes(), random.Random(3), []
    for _ in range(8):
        damaged = bytearray(whole)
        for _ in range(4):
            damaged[chance.randrange(200, len(damaged) - 300)] = chance.randrange(256)
        ppmd.write_bytes(damaged)
        with pytest.raises(SourceError) as caught:
            read(ppmd)
        reasons.append(caught.value.what)
    assert any("crashed" in reason for reason in reasons), reasons
    assert children() == []


def test_who_stops_reading_leaves_no_process_behind(ppmd, children):
    chunks = stream_member(ppmd, "Posts.xml")
    next(chunks)
    assert len(children()) == 1
    chunks.close()
    assert children() == []


def test_the_process_that_unpacks_dies_with_its_parent(tmp_path):
    archive = archived(tmp_path / "a.7z", ("Posts.xml", random.Random(1).randbytes(MB)), filters=PPMD)
    program = (
        "import sys, os, psutil; from pathlib import Path; from curate.archives import stream_member\n"
        "chunks = stream_member(Path(sys.argv[1]), 'Posts.xml'); next(chunks)\n"
        "print(psutil.Process().children()[0].pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(archive)], capture_output=True, text=True, check=False
    )
    child = int(done.stdout)
    deadline = time.monotonic() + 10
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(child)


def alive(pid):
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_table_of_contents_packed_with_ppmd_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(DefaultFilters, "ENCODED_HEADER_FILTER", PPMD)
    archive = archived(tmp_path / "a.7z", ("Posts.xml", TEXT))
    refused_member(archive, "table of contents is packed with PPMd")


@pytest.mark.slow
def test_no_damage_to_ppmd_is_more_than_an_error(ppmd):
    whole, chance = ppmd.read_bytes(), random.Random(11)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            damaged[chance.randrange(32, len(damaged))] = chance.randrange(256)
        ppmd.write_bytes(damaged)
        with suppress(SourceError):
            assert len(read(ppmd)) == len(TEXT) * 20
