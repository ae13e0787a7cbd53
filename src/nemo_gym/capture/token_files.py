"""Tokens of model calls in files of a folder that every process of a run can read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from nemo_gym.capture.shared_lines import append, create_folder, lock_file
from nemo_gym.capture.tokens import Snapshot
from nemo_gym.wire.errors import GymError
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.model_call import TokenEntry, check_rollout_id


class Frozen(GymError):
    """Tokens arrive for a rollout that is over."""


class TokenFiles:
    """Sink and source: `<rollout_id>.tokens.jsonl`, one entry a line, each on disk before `put` returns.

    `<rollout_id>.incomplete` marks a rollout of which an entry is missing, `<rollout_id>.state.json`
    a rollout that is over. Every reader and writer holds the lock of the tokens' file.

    Raises:
        UsageError: the folder can't be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = create_folder(folder, "token")

    def put(self, entry: TokenEntry) -> None:
        """Add an entry.

        Raises:
            Frozen: the rollout is over.
            OSError: it can't be written.
        """
        with lock_file(self._path(entry.rollout_id, _LINES)) as file:
            if self._state(entry.rollout_id) is not None:
                raise Frozen(f"rollout {entry.rollout_id} is over: call {entry.model_call_id} came too late")
            append(file, encode(entry))

    def mark_incomplete(self, rollout_id: str) -> None:
        """Note that an entry is missing.

        Raises:
            OSError: the marker can't be written.
        """
        self._path(rollout_id, _INCOMPLETE).touch()

    def freeze(self, rollout_id: str) -> Snapshot:
        """Close the rollout for more tokens, and return its snapshot. Later calls return the same one."""
        with lock_file(self._path(rollout_id, _LINES)) as file:
            file.seek(0)
            lines = file.readall().splitlines()
            state = self._state(rollout_id) or self._begin_state(rollout_id, len(lines))
            entries, is_whole = _entries(lines)
            incomplete = not is_whole or self._path(rollout_id, _INCOMPLETE).exists()
            return Snapshot(rollout_id, entries, incomplete, state.snapshot_id, state.version)

    def drop(self, snapshot: Snapshot) -> None:
        """Delete the files of a rollout, unless it has started again since then."""
        if self._state(snapshot.rollout_id) is None:
            return
        with lock_file(self._path(snapshot.rollout_id, _LINES)):
            state = self._state(snapshot.rollout_id)
            if state is not None and state.snapshot_id == snapshot.snapshot_id:
                self._delete(snapshot.rollout_id)

    def clear(self, rollout_id: str) -> None:
        """Delete the files of an earlier run of the same rollout."""
        self._delete(rollout_id)

    def close(self) -> None:
        """Do nothing: no file stays open between calls."""

    def _state(self, rollout_id: str) -> _State | None:
        try:
            return msgspec.json.decode(self._path(rollout_id, _STATE).read_bytes(), type=_State)
        except FileNotFoundError:
            return None

    def _begin_state(self, rollout_id: str, version: int) -> _State:
        state, path = _State(uuid4().hex, version), self._path(rollout_id, _STATE)
        partial = path.with_suffix(".partial")
        partial.write_bytes(encode(state))
        partial.replace(path)
        return state

    def _delete(self, rollout_id: str) -> None:
        for ending in (_LINES, _INCOMPLETE, _STATE):
            self._path(rollout_id, ending).unlink(missing_ok=True)

    def _path(self, rollout_id: str, ending: str) -> Path:
        return self.folder / f"{check_rollout_id(rollout_id)}{ending}"


class _State(msgspec.Struct):
    snapshot_id: str
    version: int


_LINES: Final = ".tokens.jsonl"
_INCOMPLETE: Final = ".incomplete"
_STATE: Final = ".state.json"
_decoder: Final = msgspec.json.Decoder(TokenEntry)


def _entries(lines: Sequence[bytes]) -> tuple[tuple[TokenEntry, ...], bool]:
    """The entries without duplicates, and whether every line could be read."""
    entries: dict[str, TokenEntry] = {}
    is_whole = True
    for line in lines:
        try:
            entry = _decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            is_whole = False
            continue
        if entries.setdefault(entry.model_call_id, entry) != entry:
            is_whole = False
    return tuple(entries.values()), is_whole
