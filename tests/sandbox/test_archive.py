"""Folders as archives, on their way into a sandbox."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path

from nemo_gym.sandbox.archive import pack
from nemo_gym.sandbox.extraction import unpack


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
