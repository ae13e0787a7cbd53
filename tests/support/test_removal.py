"""Folders deleted whatever is in them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from nemo_gym.support.removal import remove_tree

DEEP = "import os, sys\nfor _ in range(int(sys.argv[1])):\n    os.mkdir('d'); open('f', 'w'); os.chdir('d')"


def dig(folder: Path, depth: int) -> None:
    """Folders inside each other, which no path is long enough for."""
    subprocess.run([sys.executable, "-c", DEEP, str(depth)], cwd=folder, check=True)


@pytest.mark.parametrize("depth", [1, 1100])
def test_a_folder_of_any_depth_is_deleted_with_few_descriptors(depth: int, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    dig(folder, depth)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        assert remove_tree(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_permissions_and_odd_names_are_no_obstacle(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "a" / "b" / "c").mkdir(parents=True)
    for name in (b"\xff", b"-rf", b"a\nb", b"x" * 255, b"*", b" "):
        Path(os.fsdecode(os.path.join(os.fsencode(folder / "a" / "b"), name))).touch()
    os.mkfifo(folder / "a" / "pipe")
    for path in (folder / "a" / "b" / "c", folder / "a" / "b", folder / "a", folder):
        path.chmod(0)
    assert remove_tree(folder)
    assert list(tmp_path.iterdir()) == []


def test_no_link_is_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "kept").touch()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(other)
    (folder / "up").symlink_to("..")
    assert remove_tree(folder)
    (tmp_path / "folder").symlink_to(other)
    assert not remove_tree(folder)
    assert [path.name for path in other.iterdir()] == ["kept"]


def test_what_is_not_there_or_no_folder_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert remove_tree(tmp_path / "none")
    assert caplog.text == ""
    (tmp_path / "file").touch()
    assert not remove_tree(tmp_path / "file")
    assert "can't be deleted" in caplog.text
