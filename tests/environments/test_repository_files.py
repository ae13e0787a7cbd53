"""Files of a repository that a model has changed."""

from __future__ import annotations

import os
from pathlib import Path

from nemo_gym.environments.repository_files import MAX_DEPTH, list_files, text_files


def test_links_pipes_git_and_compiled_files_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "repository"
    for name in (
        "shop/a.py",
        "b.txt",
        ".git/config",
        "shop/__pycache__/a.py",
        "/".join("d" * MAX_DEPTH) + "/x",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (tmp_path / "secret").write_text("secret")
    os.symlink(tmp_path / "secret", folder / "link")
    os.symlink(tmp_path, folder / "outside")
    os.mkfifo(folder / "pipe")
    assert list_files(folder) == ["b.txt", "shop/a.py"]


def test_texts_keep_their_line_breaks_and_other_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes("é\r\n".encode())
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    (tmp_path / "c").write_bytes(b"x" * 100)
    assert text_files(tmp_path, 1000) == {"a": "é\r\n", "c": "x" * 100}
    assert text_files(tmp_path, 100) == {"a": "é\r\n"}
