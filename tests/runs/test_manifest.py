"""What was run, so that resuming continues the same run and not a similar one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from nemo_gym.runs.manifest import Identity, Manifest, differences, load_manifest
from nemo_gym.runs.paths import RunPaths
from nemo_gym.wire.errors import UsageError

IDENTITY = Identity(
    environment={"ref": "mcqa", "settings": {"mode": "strict"}, "fingerprint": "abc"},
    model={"type": "chat", "name": "m", "url": "http://localhost:8000/v1"},
    agent={"name": "tool_loop", "arguments": {}},
    sampling={"temperature": 0.5},
    inputs={"source": "tasks.jsonl", "limit": None, "repeats": 2, "seed": 3},
)


def changed(**parts: dict[str, Any]) -> Identity:
    built: dict[str, dict[str, Any]] = msgspec.to_builtins(IDENTITY)
    return Identity(**{name: {**value, **parts.get(name, {})} for name, value in built.items()})


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    return RunPaths.of(tmp_path / "out.jsonl")


def test_the_same_run_has_no_differences() -> None:
    assert differences(IDENTITY, changed()) == []


def test_every_difference_is_said_with_both_values() -> None:
    new = changed(model={"name": "n"}, sampling={"top_p": 0.9}, inputs={"repeats": 4})

    assert differences(IDENTITY, new) == [
        "model.name was 'm', is now 'n'",
        "sampling.top_p was None, is now 0.9",
        "inputs.repeats was 2, is now 4",
    ]


def test_what_is_gone_is_a_difference_too() -> None:
    without = Identity(IDENTITY.environment, IDENTITY.model, IDENTITY.agent, {}, IDENTITY.inputs)

    assert differences(IDENTITY, without) == ["sampling.temperature was 0.5, is now None"]


def test_a_manifest_is_read_back_as_it_was_written(paths: RunPaths) -> None:
    manifest = Manifest(IDENTITY, requested=12, gym_version="1.0", started_at=1700000000.5)
    manifest.status, manifest.counts, manifest.reason = "stopped", {"scored": 3}, "no é space left"
    manifest.save(paths)

    assert load_manifest(paths.manifest) == manifest
    assert [path.name for path in paths.manifest.parent.iterdir()] == ["out_manifest.json"]


def test_writing_again_replaces_the_file(paths: RunPaths) -> None:
    manifest = Manifest(IDENTITY, requested=12, gym_version="1.0", started_at=0.0)
    manifest.save(paths)
    manifest.status = "complete"
    manifest.save(paths)

    assert load_manifest(paths.manifest).status == "complete"


def test_a_person_can_read_the_file(paths: RunPaths) -> None:
    Manifest(IDENTITY, requested=12, gym_version="1.0", started_at=0.0).save(paths)

    assert '  "requested": 12,\n' in paths.manifest.read_text()


def test_a_missing_manifest_is_one_clear_line(paths: RunPaths) -> None:
    with pytest.raises(UsageError, match=r"out_manifest\.json: can't be read \(No such file or directory\)"):
        load_manifest(paths.manifest)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"nonsense", b'{"requested": "\xff', b'{"identity": 3}']
)
def test_a_file_that_is_no_manifest_is_one_clear_line(paths: RunPaths, content: bytes) -> None:
    paths.manifest.write_bytes(content)

    with pytest.raises(UsageError, match=r"out_manifest\.json: not a run manifest: "):
        load_manifest(paths.manifest)


@pytest.mark.parametrize("time", [1e20, 1e308, -1.0])
def test_a_time_that_no_calendar_has_is_one_clear_line(paths: RunPaths, time: float) -> None:
    Manifest(IDENTITY, requested=12, gym_version="1.0", started_at=time).save(paths)

    with pytest.raises(UsageError, match=r"not a run manifest: .*started_at"):
        load_manifest(paths.manifest)
