"""Archives that untrusted code made."""

from __future__ import annotations

import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from nemo_gym.sandbox.archive import pack, unpack
from nemo_gym.sandbox.errors import SandboxFileError


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> BytesIO:
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    made.seek(0)
    return made


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def test_a_folder_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "run.sh").write_text("echo")
    (tmp_path / "a" / "deep" / "run.sh").chmod(0o755)
    (tmp_path / "a" / "link").symlink_to("deep/run.sh")
    os.link(tmp_path / "a" / "deep" / "run.sh", tmp_path / "a" / "same")
    packed = BytesIO()
    pack(packed, tmp_path / "a", "work", {"home/said": "é"})
    packed.seek(0)
    out = tmp_path / "out"
    out.mkdir()
    unpack(packed, out, most_bytes=1000)
    assert (out / "home" / "said").read_text() == "é"
    assert (out / "work" / "link").readlink() == Path("deep/run.sh")
    assert (out / "work" / "same").read_text() == "echo"
    assert (out / "work" / "deep" / "run.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_name_outside_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SandboxFileError, match="outside"):
        unpack(archive((member(name), b"x")), tmp_path, most_bytes=10)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "outside").mkdir()
    through = archive((member("d", tarfile.SYMTYPE, "../outside"), b""), (member("d/x"), b"x"))
    unpack(through, tmp_path / "in", most_bytes=10)
    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "in" / "d" / "x").read_text() == "x"


def test_links_that_lead_out_by_way_of_others_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tricky = archive(
        (member("d/e", tarfile.DIRTYPE), b""),
        (member("d/e/up", tarfile.SYMTYPE, "../.."), b""),
        (member("out", tarfile.SYMTYPE, "d/e/up/../x"), b""),
        (member("round", tarfile.SYMTYPE, "round"), b""),
        (member("absolute", tarfile.SYMTYPE, "/etc/passwd"), b""),
    )
    unpack(tricky, folder, most_bytes=10)
    assert sorted(path.name for path in folder.iterdir()) == ["d", "round"]


def test_devices_and_pipes_are_left_out(tmp_path: Path) -> None:
    odd = archive((member("pipe", tarfile.FIFOTYPE), b""), (member("disk", tarfile.BLKTYPE), b""))
    unpack(odd, tmp_path, most_bytes=10)
    assert list(tmp_path.iterdir()) == []


def test_more_bytes_than_allowed_are_refused_also_as_copies(tmp_path: Path) -> None:
    many = [(member(f"{n}", tarfile.LNKTYPE, "first"), b"") for n in range(20)]
    with pytest.raises(SandboxFileError, match="more than it may"):
        unpack(archive((member("first"), b"x" * 10), *many), tmp_path, most_bytes=100)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for junk in (b"junk" * 200, archive((member("a"), b"x" * 2000)).getvalue()[:1000]):
        with pytest.raises(SandboxFileError):
            unpack(BytesIO(junk), tmp_path, most_bytes=10_000)
