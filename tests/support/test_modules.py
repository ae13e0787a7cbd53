"""Files that are loaded as modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nemo_gym.support.modules import load_file


def test_a_change_within_the_same_second_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "changing.py"
    for value in (1, 2):
        path.write_text(f"VALUE = {value}\n")
        os.utime(path, (1_700_000_000, 1_700_000_000))
        module = load_file(path)
        sys.modules.pop(module.__name__)  # as in another process
        assert value == module.VALUE
