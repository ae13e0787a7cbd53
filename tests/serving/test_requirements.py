"""What of a server's requirements is installed here."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from nemo_gym.serving.requirements import unmet

HERE = version("msgspec")


@pytest.mark.parametrize(
    "line",
    [
        "msgspec",
        "MsgSpec >= 0.1, != 99",
        f"msgspec=={HERE}",
        f"msgspec~={HERE}",
        f"msgspec==={HERE}",
        "msgspec<99a1",
        "not-there-at-all; python_version < '3'",
        "msgspec; python_version >= '3'",
    ],
)
def test_what_is_installed_here_is_met(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}  # why\n")
    assert unmet(tmp_path) == []


@pytest.mark.parametrize(
    "line",
    [
        "not-there-at-all",
        "msgspec<0.1",
        f"msgspec!={HERE}",
        "msgspec[yaml]",
        "msgspec @ https://example.org/msgspec.whl",
        "msgspec; python_version >= '3' and extra == 'yes'; what",
        "msgspec >= one",
    ],
)
def test_what_is_not_surely_installed_is_unmet(tmp_path: Path, line: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"{line}\n")
    assert unmet(tmp_path) == [line]


def test_options_are_unmet(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("--extra-index-url https://example.org/simple\nmsgspec\n")
    assert unmet(tmp_path) == ["--extra-index-url", "https://example.org/simple"]
