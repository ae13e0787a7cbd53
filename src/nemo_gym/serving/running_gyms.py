"""The gyms that run on this machine. Each has a file that is locked as long as its process lives."""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import msgspec

from nemo_gym.serving.secrets import Secret
from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.jsonl import open_regular


class RunningGym(msgspec.Struct, frozen=True, kw_only=True):
    """One running gym."""

    pid: int
    head_url: str
    logs: str
    """Folder with the output of its servers."""
    token_file: str = ""
    """The file with its token; empty without a token."""
    started_at: float
    """Unix time, seconds."""

    @property
    def head_port(self) -> int | None:
        return urlsplit(self.head_url).port

    @property
    def token(self) -> Secret | None:
        """The token that its servers ask for.

        Raises:
            GymError: the token file is gone.
        """
        return read_token(Path(self.token_file)) if self.token_file else None


def runtime_folder() -> Path:
    """A folder that only this user can read.

    Raises:
        GymError: the folder belongs to another user.
    """
    setting = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(setting) if setting and Path(setting).is_dir() else None
    folder = base / "nemo-gym" if base else Path(tempfile.gettempdir()) / f"nemo-gym-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise GymError(f"{folder} must be a folder of yours that only you can read (mode 0700)")
    return folder


@contextmanager
def register(state: RunningGym, folder: Path) -> Generator[None, None, None]:
    """`running_gyms` lists this gym while the block runs, and no longer once the process has ended."""
    path, draft = folder / f"{state.pid}{_STATE}", folder / f"{state.pid}{_DRAFT}"
    with _private(draft) as file:
        # It is locked before it has its name: an unlocked file is one of a dead process.
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(msgspec.json.encode(state))
        file.flush()
        draft.rename(path)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running_gyms(folder: Path) -> list[RunningGym]:
    """The gyms that run, oldest first. The files of dead ones are removed."""
    states: list[RunningGym] = []
    for path in folder.glob(f"*{_STATE}"):
        with suppress(FileNotFoundError, msgspec.DecodeError), path.open("rb") as file:
            if _is_locked(file):
                states.append(msgspec.json.decode(file.read(), type=RunningGym))
            else:
                path.unlink(missing_ok=True)
                path.with_suffix(_TOKEN).unlink(missing_ok=True)
    return sorted(states, key=lambda state: state.started_at)


@contextmanager
def token_file(token: Secret, folder: Path) -> Generator[Path, None, None]:
    """A file with the token, for this user only, while the block runs."""
    path = folder / f"{os.getpid()}{_TOKEN}"
    with _private(path) as file:
        file.write(token.reveal().encode())
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def read_token(path: Path) -> Secret:
    """The token in a file.

    Raises:
        UsageError: there is no such file, or other users can read it.
        GymError: its text is no valid token.
    """
    try:
        with open_regular(path) as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise UsageError(
                    f"token file {path}: other users can read it; run: chmod 600 {shlex.quote(str(path))}"
                )
            text = file.read(_MOST + 1).decode().strip()
    except UnicodeDecodeError as error:
        raise GymError(f"token file {path}: {error}") from None
    return check_token(text, f"token file {path}")


def check_token(text: str, where: str) -> Secret:
    """A token that fits into a header and is hard to guess.

    Raises:
        GymError: the token is not valid.
    """
    if not LEAST <= len(text) <= _MOST or not text.isascii() or not text.isprintable() or " " in text:
        raise GymError(
            f"{where}: a token has at least {LEAST} and at most {_MOST} printable ASCII characters, no spaces"
        )
    return Secret(text)


LEAST: Final = 16
"""Characters of a token."""
_MOST: Final = 4096
_STATE: Final = ".json"
_DRAFT: Final = ".draft"
_TOKEN: Final = ".token"


def _private(path: Path) -> IO[bytes]:
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _is_locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
