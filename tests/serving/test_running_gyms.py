from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nemo_gym.serving.running_gyms import (
    RunningGym,
    read_token,
    register,
    running_gyms,
    runtime_folder,
    token_file,
)
from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import GymError, UsageError

STATE = RunningGym(pid=4711, head_url="http://127.0.0.1:11000", logs="/logs", started_at=1.0)


def test_a_state_is_listed_while_it_is_held_and_only_its_user_can_read_it(tmp_path: Path) -> None:
    with register(STATE, tmp_path):
        assert running_gyms(tmp_path) == [STATE]
        (file,) = tmp_path.iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert running_gyms(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    with register(STATE, tmp_path):
        left = (tmp_path / "4711.json").read_bytes()
    (tmp_path / "4711.json").write_bytes(left)
    (tmp_path / "4711.token").write_text("x" * 20)
    assert running_gyms(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_token_file_is_for_its_user_only_and_goes_away(tmp_path: Path) -> None:
    with token_file(Secret("0123456789abcdef"), tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert read_token(path).matches("0123456789abcdef")
    assert not path.exists()


@pytest.mark.parametrize(
    "content", [b"", b"short", b"with spaces in the middle", b"\xff" * 20, "ü".encode() * 20]
)
def test_a_token_file_with_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    (tmp_path / "token").chmod(0o600)
    with pytest.raises(GymError, match=r"token file .*(a token has at least|can't decode)"):
        read_token(tmp_path / "token")


def test_the_runtime_folder_must_be_closed_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert stat.S_IMODE(runtime_folder().stat().st_mode) == 0o700
    (tmp_path / "nemo-gym").chmod(0o755)
    with pytest.raises(GymError, match="only you can read"):
        runtime_folder()


@pytest.mark.parametrize("kind", ["pipe", "folder", "link to itself", "missing"])
def test_what_is_no_file_is_refused_and_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "token"
    match kind:
        case "pipe":
            os.mkfifo(path, 0o600)
        case "folder":
            path.mkdir(0o700)
        case "link to itself":
            path.symlink_to(path)
        case _:
            pass
    with pytest.raises(UsageError, match=r"token: can't be read \("):
        read_token(path)


def test_a_token_is_never_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text("x" * 4096 + "\n")
    assert read_token(path).matches("x" * 4096)
    path.write_text("x" * 4097)
    with pytest.raises(GymError, match="at most 4096"):
        read_token(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o777])
def test_a_token_file_that_others_can_read_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "my token"
    path.write_text("0123456789abcdef")
    path.chmod(mode)
    with pytest.raises(UsageError, match=r"other users can read it; run: chmod 600 '.*/my token'"):
        read_token(path)
    path.chmod(0o600)
    assert read_token(path).matches("0123456789abcdef")
