"""Archives that untrusted code made: what is taken from them, and attacks that must leave nothing outside."""

from __future__ import annotations

import os
import stat
import subprocess
import tarfile
import threading
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from nemo_gym.sandbox import extraction
from nemo_gym.sandbox.errors import SandboxFileError
from nemo_gym.sandbox.extraction import unpack

Part = tuple[tarfile.TarInfo, bytes]

LINK, HARD, FOLDER, FIFO = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE
OUT = "@OUTSIDE@"
"""Stands for the absolute path of a folder beside the one that is filled."""


def part(
    name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, to: str = "", mode: int = 0o644
) -> Part:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size, member.mode = kind, to, len(content), mode
    return member, content


def link(name: str, to: str) -> Part:
    return part(name, kind=LINK, to=to)


def hard(name: str, to: str) -> Part:
    return part(name, kind=HARD, to=to)


def block(member: tarfile.TarInfo, form: int = tarfile.GNU_FORMAT) -> bytes:
    return member.tobuf(form, "utf-8", "surrogateescape")


def padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 512)


def tar(*parts: Part | bytes) -> bytes:
    """An archive of members, and of bytes as they are."""
    data = b""
    for each in parts:
        data += each if isinstance(each, bytes) else block(each[0]) + padded(each[1])
    return data + b"\0" * 1024


def pax(name: str, content: bytes = b"", kind: bytes = tarfile.XHDTYPE, **records: str) -> bytes:
    """A member with an extended header that says something else about it."""
    text = b"".join(record(key, value) for key, value in records.items())
    header = part("pax", text, kind)
    member = part(name, content)
    return block(header[0]) + padded(text) + block(member[0]) + padded(content)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    size = len(body)
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


def named(name: str, content: bytes = b"x", kind: bytes = tarfile.GNUTYPE_LONGNAME) -> bytes:
    """A member with a long name of GNU's kind."""
    text = name.encode() + b"\0"
    return (
        block(part("././@LongLink", text, kind)[0])
        + padded(text)
        + block(part("short", content)[0])
        + padded(content)
    )


def sized(name: str, size: int, kind: bytes = tarfile.REGTYPE, content: bytes = b"") -> bytes:
    """A member whose size is what it claims and not what it has."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return block(member) + padded(content)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty folder, beside a folder that must stay as it is."""
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "victim").write_text("precious")
    (tmp_path / "in").mkdir()
    before = picture(outside)
    others = sorted(tmp_path.iterdir())
    yield tmp_path / "in"
    assert picture(outside) == before
    assert sorted(tmp_path.iterdir()) == others
    for path in (tmp_path / "in").rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode), path
        assert stat.S_ISLNK(mode) or not mode & 0o7022, path
        assert path.lstat().st_nlink == 1 or path.is_dir()
        assert Path(os.path.realpath(path)).is_relative_to(os.path.realpath(tmp_path / "in")), path


def picture(folder: Path) -> list[tuple[str, int, str]]:
    return sorted(
        (str(path), path.lstat().st_mode, path.read_text() if path.is_file() else "")
        for path in folder.rglob("*")
    )


def fill(place: Path, data: bytes, most_bytes: int = 100_000) -> None:
    outside = os.fsencode(place.parent / "outside")
    assert len(outside) < 90, "the path of the temporary folder is too long for these archives"
    unpack(BytesIO(moved(data, outside)), place, most_bytes=most_bytes)


def moved(data: bytes, outside: bytes) -> bytes:
    """The archive with the real path of the folder outside in it."""
    blocks = [data[at : at + 512] for at in range(0, len(data), 512)]
    for place, each in enumerate(blocks):
        if OUT.encode() in each[:257] and each[257:262] == b"ustar":
            name, link = (each[at : at + 100].rstrip(b"\0").replace(OUT.encode(), outside) for at in (0, 157))
            each = (
                name.ljust(100, b"\0")
                + each[100:148]
                + b" " * 8
                + each[156:157]
                + link.ljust(100, b"\0")
                + each[257:]
            )
            blocks[place] = each[:148] + b"%06o\0 " % sum(each) + each[156:]
        else:
            blocks[place] = each
    return b"".join(blocks)


REFUSED = {
    "link, then a link below it": tar(link("p", OUT), link("p/x", "anything")),
    "link, then a file below it": tar(link("p", OUT), part("p/x", b"x")),
    "link, then a folder below it": tar(link("p", OUT), part("p/x", kind=FOLDER)),
    "link, then a hard link below it": tar(part("f", b"x"), link("p", OUT), hard("p/x", "f")),
    "file below a link that comes later": tar(part("p/x", b"x"), link("p", OUT)),
    "link below a link that comes later": tar(link("p/x", "y"), link("p", OUT)),
    "link in a chain of links": tar(link("a", OUT), link("b", "a"), part("b/x", b"x")),
    "link inside, then a file through it": tar(part("d", kind=FOLDER), link("p", "d"), part("p/x", b"x")),
    "link with a file below it, deep": tar(link("a/b/c", OUT), part("a/b/c/d/e", b"x")),
    "link in the place of a file": tar(part("p", b"x"), link("p", OUT)),
    "file in the place of a link": tar(link("p", OUT + "/victim"), part("p", b"evil")),
    "file in the place of a file": tar(part("p", b"x"), part("p", b"y")),
    "folder in the place of a file": tar(part("p", b"x"), part("p", kind=FOLDER)),
    "file in the place of a folder": tar(part("p", kind=FOLDER), part("p", b"x")),
    "link twice": tar(link("p", "inner"), link("p", OUT)),
    "the folder itself is a link": tar(link(".", OUT), part("x", b"x")),
    "the folder itself is a file": tar(part("./", b"x", kind=tarfile.CONTTYPE)),
    "file below a file": tar(part("p", b"x"), part("p/x", b"x")),
    "hard link out": tar(hard("p", OUT + "/victim")),
    "hard link out by dots": tar(hard("p", "../outside/victim")),
    "hard link through a link": tar(link("l", OUT), hard("p", "l/victim")),
    "hard link to what is not there": tar(hard("p", "none")),
    "hard link to itself": tar(hard("p", "p")),
    "hard link to a folder": tar(part("d", kind=FOLDER), hard("p", "d")),
    "hard link to the whole": tar(hard("p", ".")),
    "hard link with content": tar(part("f", b"x"), part("p", b"evil", kind=HARD, to="f")),
    "absolute": tar(part(OUT + "/x", b"x")),
    "absolute with more slashes": tar(part("//" + OUT + "/x", b"x")),
    "absolute folder": tar(part(OUT + "/x", kind=FOLDER)),
    "absolute link": tar(link(OUT + "/x", "y")),
    "dots": tar(part("../outside/x", b"x")),
    "dots inside": tar(part("a/../../outside/x", b"x")),
    "dots that cancel": tar(part("a/../b", b"x")),
    "dots alone": tar(part("..", kind=FOLDER)),
    "dots by an extended header": tar(pax("x", b"x", path="../outside/x")),
    "dots by a long name": tar(named("../outside/x")),
    "link target by an extended header": tar(pax("x", b"x", path="p"), link("p", OUT)),
    "NUL in an extended header's path": tar(pax("x", b"x", path="a\0/../../outside/x")),
    "name for all members": tar(pax("x", b"x", kind=tarfile.XGLTYPE, path="../outside/x")),
    "size for all members": tar(pax("x", b"x", kind=tarfile.XGLTYPE, size="0")),
    "size by an extended header": tar(pax("x", b"x", size="99999999")),
    "negative size by an extended header": tar(pax("x", b"x", size="-1")),
    "endless size by an extended header": tar(pax("x", b"x", size="9" * 400)),
    "extended header of odd length": tar(part("pax", b"99 path=x\n", tarfile.XHDTYPE)),
    "extended header without an end": tar(part("pax", b"10 path=xy", tarfile.XHDTYPE)),
    "extended header without a space": tar(part("pax", b"10path=xy\n", tarfile.XHDTYPE)),
    "large extended header": tar(pax("x", b"x", comment="c" * (64 << 10))),
    "extended header that claims 300 MiB": tar(sized("pax", 300 << 20, tarfile.XHDTYPE)),
    "long name that claims 300 MiB": tar(sized("././@LongLink", 300 << 20, tarfile.GNUTYPE_LONGNAME)),
    "sparse of the old kind": tar(part("x", b"x", kind=tarfile.GNUTYPE_SPARSE)),
    "sparse by an extended header": tar(pax("x", b"x", **{"GNU.sparse.realsize": "9" * 12})),
    "sparse with another name": tar(pax("x", b"x", **{"GNU.sparse.name": "../outside/x"})),
    "kind that nobody knows": tar(part("x", b"x", kind=b"Z")),
    "folder with content": tar(part("x", b"x" * 600, kind=FOLDER)),
    "link with content": tar(part("x", b"x" * 600, kind=LINK, to="y")),
    "claims 8 EiB": tar(sized("x", 1 << 62)),
    "negative size": tar(sized("x", -512)),
    "claims more than it has": tar(sized("x", 50_000)),
    "name of 300 bytes": tar(named("x" * 300)),
    "path of 5000 bytes": tar(named("x/" * 2500 + "y")),
    "3000 folders": tar(pax("x", b"x", path="d/" * 3000 + "x")),
    "200 folders": tar(pax("x", kind=tarfile.XHDTYPE, path="d/" * 200)),
    "checksum": tar(part("x", b"x")).replace(b"ustar", b"USTAR", 1),
    "no end": tar(part("x", b"x"))[:-1024],
    "nothing": b"",
    "junk": b"junk" * 1000,
    "another archive behind its end": tar(part("x", b"x")) + b"\1" * (2 << 20),
}  # fmt: skip

TAKEN: dict[str, tuple[bytes, list[str]]] = {
    "link out": (tar(link("p", OUT), part("x", b"x")), ["x"]),
    "link out by dots": (tar(link("p", "../outside")), []),
    "link out by dots from a folder": (tar(link("d/p", "../../outside")), ["d"]),
    "link out by dots behind a name": (tar(part("d", kind=FOLDER), link("p", "d/../../outside")), ["d"]),
    "link to a link out": (tar(link("a", OUT), link("b", "a/victim")), ["b"]),
    "link up by another": (tar(link("d/up", ".."), link("p", "d/up/../outside")), ["d", "d/up"]),
    "link round and round": (tar(link("a", "b"), link("b", "a")), ["a", "b"]),
    "empty link": (tar(link("p", "")), []),
    "device": (tar(part("disk", kind=tarfile.BLKTYPE), part("memory", kind=tarfile.CHRTYPE)), []),
    "pipe, and a hard link to it": (tar(part("pipe", kind=FIFO), hard("same", "pipe")), []),
    "hard link to a link out": (tar(link("p", OUT), hard("same", "p")), []),
    "set-user-id": (tar(part("x", b"x", mode=0o6777), part("d", kind=FOLDER, mode=0o7777)), ["d", "x"]),
    "twins by case": (tar(link("P", OUT), part("p/x", b"x")), ["p", "p/x"]),
    "twins by Unicode": (tar(link("e\u0301", OUT), part("\u00e9/x", b"x")), ["\u00e9", "\u00e9/x"]),
    "odd names": (tar(*(part(name) for name in ("-rf", "a\nb", "\x1b[2J"))), ["\x1b[2J", "-rf", "a\nb"]),
    "no UTF-8": (tar(part("\udcff", b"x")), ["\udcff"]),
}  # fmt: skip


@pytest.mark.parametrize("attack", REFUSED)
def test_an_attack_is_refused(attack: str, place: Path) -> None:
    with pytest.raises(SandboxFileError):
        fill(place, REFUSED[attack])


@pytest.mark.parametrize("attack", TAKEN)
def test_what_is_harmless_is_taken_and_the_rest_left_out(attack: str, place: Path) -> None:
    data, names = TAKEN[attack]
    fill(place, data)
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*")) == sorted(names)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_name_outside_is_refused(name: str, place: Path) -> None:
    with pytest.raises(SandboxFileError, match="outside"):
        fill(place, tar(part(name, b"x")))


def test_a_large_extended_header_takes_no_memory(place: Path) -> None:
    claimed = sized("pax", 300 << 20, tarfile.XHDTYPE) + b"1" * (8 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(SandboxFileError, match="extended header of 314572800 bytes"):
            unpack(BytesIO(claimed), place, most_bytes=1 << 30)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_more_bytes_than_allowed_are_refused_also_as_copies(place: Path) -> None:
    many = [hard(f"{n}", "first") for n in range(20)]
    with pytest.raises(SandboxFileError, match="more than it may"):
        fill(place, tar(part("first", b"x" * 10), *many), most_bytes=100)


@pytest.mark.parametrize(("name", "value", "message"), [
    ("MOST_MEMBERS", 3, "more than 3 files"), ("MOST_NAMES", 9, "longer than 9 bytes"),
])  # fmt: skip
def test_members_and_their_names_are_bounded(
    name: str, value: int, message: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(place / ".", tar(*(part(f"{n}a") for n in range(3))))
    monkeypatch.setattr(extraction, name, value)
    with pytest.raises(SandboxFileError, match=message):
        fill(place, tar(*(part(f"file{n}") for n in range(4))))


def test_as_many_members_as_allowed_are_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MOST_MEMBERS", 3)
    fill(place, tar(*(part(f"{n}") for n in range(3))))
    assert len(list(place.iterdir())) == 3


def test_what_is_no_archive_is_refused(place: Path) -> None:
    for junk in (b"junk" * 200, tar(part("a", b"x" * 2000))[:1000]):
        with pytest.raises(SandboxFileError):
            fill(place, junk)


def test_one_folder_of_an_archive_is_wanted(place: Path) -> None:
    data = tar(part("work", kind=FOLDER), part("work/a", b"x"), hard("work/same", "work/a"))
    unpack(BytesIO(data), place, most_bytes=100, below="work")
    assert sorted(path.name for path in place.iterdir()) == ["a", "same"]
    for other in (tar(part("etc/passwd", b"x")), tar(link("work", "/etc")), tar(hard("work/b", "etc/b"))):
        with pytest.raises(SandboxFileError):
            unpack(BytesIO(other), place, most_bytes=100, below="work")


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "v7"])
def test_what_tar_makes_of_a_folder_comes_through_a_pipe(
    form: str, place: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    deep = tmp_path_factory.mktemp("source") / "deep"
    long = "n" * (90 if form in ("ustar", "v7") else 200)
    deep.mkdir()
    (deep / "d" / "e").mkdir(parents=True)
    (deep / "d" / "e" / long).write_text("long")
    (deep / "run").write_text("#!")
    (deep / "run").chmod(0o755)
    os.link(deep / "run", deep / "same")
    (deep / "link").symlink_to("d/e")
    (deep / "large").write_bytes(b"x" * 3_000_000)
    result = place / "result"
    result.mkdir()
    words = ["tar", f"--format={form}", "-cf", "-", "-C", str(deep), "."]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        unpack(process.stdout, result, most_bytes=4_000_000)
    assert process.returncode == 0
    assert (result / "d" / "e" / long).read_text() == "long"
    assert (result / "run").stat().st_mode & 0o777 == 0o755
    assert (result / "same").read_text() == "#!"
    assert (result / "link").readlink() == Path("d/e")
    assert (result / "large").stat().st_size == 3_000_000


def test_a_folder_that_becomes_a_link_while_it_is_filled_is_not_followed(place: Path) -> None:
    """Whoever shares the folder can't lead the rest of an archive elsewhere."""
    read, write = os.pipe()
    seen = threading.Event()

    def swap() -> None:
        with os.fdopen(write, "wb") as pipe:
            pipe.write(tar(part("d/a", b"x"), part("other/a", b"x"))[:-1024])
            pipe.flush()
            while not (place / "other" / "a").exists():
                seen.wait(0.001)
            (place / "d").rename(place / "moved")
            (place / "d").symlink_to(place.parent / "outside")
            pipe.write(tar(part("d/b", b"x")))

    thread = threading.Thread(target=swap)
    thread.start()
    with os.fdopen(read, "rb") as source, pytest.raises(SandboxFileError, match="no folder"):
        unpack(source, place, most_bytes=100)
    thread.join()
    (place / "d").unlink()
