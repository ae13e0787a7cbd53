"""Captured calls in the files of a folder: `<rollout_id>.capture.jsonl`, one line a call."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import msgspec

from nemo_gym.capture.shared_lines import append_line
from nemo_gym.wire.items import Json
from nemo_gym.wire.jsonl import decode
from nemo_gym.wire.model_call import check_rollout_id


class CaptureFiles:
    """The capture files of a folder that exists; several processes may write to them.

    `<rollout_id>.capture.incomplete` marks a rollout of which a call is missing. Every method raises
    UsageError for an id that can't be part of a path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path_for(self, rollout_id: str) -> Path:
        """The file of a rollout."""
        return self.folder / f"{check_rollout_id(rollout_id)}.capture.jsonl"

    def incomplete_path_for(self, rollout_id: str) -> Path:
        """The file that marks a rollout of which a call is missing."""
        return self.folder / f"{check_rollout_id(rollout_id)}.capture.incomplete"

    def append(self, rollout_id: str, line: bytes) -> None:
        """Add the line of a call; it is on disk when this returns.

        Raises:
            OSError: it can't be written.
        """
        append_line(self.path_for(rollout_id), line)

    def mark_incomplete(self, rollout_id: str) -> None:
        """Note that a call of a rollout is missing.

        Raises:
            OSError: the marker can't be written.
        """
        self.incomplete_path_for(rollout_id).touch()

    def is_incomplete(self, rollout_id: str) -> bool:
        """Whether a call of a rollout is marked as missing."""
        return self.incomplete_path_for(rollout_id).exists()

    def raw_lines(self, rollout_id: str) -> list[bytes]:
        """The lines of a rollout as bytes; an unknown rollout has none."""
        try:
            return self.path_for(rollout_id).read_bytes().splitlines()
        except FileNotFoundError:
            return []

    def lines(self, rollout_id: str) -> tuple[list[dict[str, Json]], bool]:
        """The calls of a rollout in order, and whether every line could be read."""
        calls: list[dict[str, Json]] = []
        is_whole = True
        for line in self.raw_lines(rollout_id):
            try:
                call = decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                call = None
            if isinstance(call, dict):
                calls.append(cast("dict[str, Json]", call))
            else:
                is_whole = False
        return calls, is_whole

    def clear(self, rollout_id: str) -> None:
        """Delete the files of a rollout."""
        self.path_for(rollout_id).unlink(missing_ok=True)
        self.incomplete_path_for(rollout_id).unlink(missing_ok=True)
