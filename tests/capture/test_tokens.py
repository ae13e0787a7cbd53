"""Any store for tokens: coroutines or functions, and no answer leaves with a silent hole behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.capture.settings import TokenSettings, capture_settings, settle_folders
from nemo_gym.capture.tokens import CaptureFailed, TokenRecorder
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import assistant
from nemo_gym.wire.model_call import ModelCall, TokenEntry

SINK = """
class Sink:
    def __init__(self, name="x"):
        self.name = name

    def put(self, entry): ...
    def mark_incomplete(self, rollout_id): ...
    def close(self): ...
"""


class Kept:
    """What both kinds of sinks keep."""

    def __init__(self, broken: frozenset[str] = frozenset()) -> None:
        self.seen: list[tuple[str, str]] = []
        self.broken = broken

    def note(self, what: str, name: str) -> None:
        self.seen.append((what, name))
        if what in self.broken:
            raise OSError(f"{what}: disk full")


class Plain(Kept):
    def put(self, entry: TokenEntry) -> None:
        self.note("put", entry.model_call_id)

    def mark_incomplete(self, rollout_id: str) -> None:
        self.note("miss", rollout_id)

    def close(self) -> None: ...


class Coroutines(Kept):
    async def begin_call(self, rollout_id: str, model_call_id: str) -> None:
        self.note("begin", model_call_id)

    async def put(self, entry: TokenEntry) -> None:
        self.note("put", entry.model_call_id)

    async def mark_incomplete(self, rollout_id: str) -> None:
        self.note("miss", rollout_id)

    async def close(self) -> None: ...


def call(*, tokens: bool = True) -> ModelCall:
    item: dict[str, Any] = {**assistant("a")}
    if tokens:
        item |= {"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]}
    return ModelCall(
        rollout_id="0-0", model_call_id="a", dialect="responses", started_at=0.0, completed_at=1.0,
        latency_ms=1.0, status_code=200, request={"input": []}, answer={"output": [item]},
    )  # fmt: skip


async def test_functions_and_coroutines_are_called() -> None:
    plain, coroutines = Plain(), Coroutines()
    for sink in (plain, coroutines):
        await TokenRecorder(sink).record(call())
    assert plain.seen == [("put", "a")]
    assert coroutines.seen == [("begin", "a"), ("put", "a")]


@pytest.mark.parametrize("kind", [Plain, Coroutines])
async def test_tokens_that_are_not_kept_mark_the_rollout(kind: type[Plain | Coroutines]) -> None:
    sink = kind(frozenset({"put"}))
    await TokenRecorder(sink).record(call())
    await TokenRecorder(sink).record(call(tokens=False))
    assert [seen for seen in sink.seen if seen[0] == "miss"] == [("miss", "0-0")] * 2


async def test_a_hole_that_can_not_be_marked_is_an_error() -> None:
    with pytest.raises(CaptureFailed, match="rollout 0-0: tokens are lost: miss: disk full"):
        await TokenRecorder(Plain(frozenset({"put", "miss"}))).record(call())


def test_a_sink_in_a_file_gets_its_arguments(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SINK)
    settings = TokenSettings(True, sink=f"{file}:Sink", sink_kwargs={"name": "y"}, rebuild_response=False)
    assert settings.store().name == "y"  # type: ignore[attr-defined]
    settings.check_source()
    with pytest.raises(UsageError, match="has no freeze and drop"):
        TokenSettings(True, sink=f"{file}:Sink").source()


@pytest.mark.parametrize(
    ("sink", "arguments", "told"),
    [
        ("{}:Nothing", {}, "expected module:Class"),
        ("nowhere.py:Sink", {}, "there is no file nowhere.py"),
        ("json:dumps", {}, "dumps is no class"),
        ("{}:Sink", {"nme": "y"}, "unexpected keyword argument 'nme'"),
    ],
)
def test_a_sink_that_is_none_is_said(tmp_path: Path, sink: str, arguments: Any, told: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SINK)
    with pytest.raises(UsageError, match=told):
        TokenSettings(True, sink=sink.format(file), sink_kwargs=arguments).store()


def test_folders_are_filled_in_and_absolute(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"observability_enabled": True, "token_id_capture": {"enabled": True}}
    settle_folders(tree, tmp_path)
    settle_folders(tree, tmp_path / "later")
    found = capture_settings(tree, {"a": {"token_id_capture": True}, "b": {}})
    assert found is not None
    assert found.calls == str(tmp_path / "model_calls")
    assert found.tokens is not None
    assert found.tokens.dir == str(tmp_path / "token_ids")
    assert [found.captures_tokens_of(name) for name in ("a", "b")] == [True, False]


def test_a_sink_s_file_is_the_same_in_every_folder(tmp_path: Path) -> None:
    tree: dict[str, Any] = {"token_id_capture": {"enabled": True, "sink": "mine.py:Sink"}}
    settle_folders(tree, tmp_path)
    assert tree["token_id_capture"] == {"enabled": True, "sink": f"{Path.cwd()}/mine.py:Sink"}


@pytest.mark.parametrize("tree", [{}, {"token_id_capture": {"enabled": False}}, {"token_id_capture": None}])
def test_nothing_asked_for_is_nothing(tree: dict[str, Any], tmp_path: Path) -> None:
    before = dict(tree)
    settle_folders(tree, tmp_path)
    assert capture_settings(tree, {}) is None
    assert tree == before


@pytest.mark.parametrize("block", [[], {"enabled": "perhaps"}, {"max_mask_fraction": 2}, {"dri": ""}])
def test_a_block_that_is_none_is_said(block: Any) -> None:
    with pytest.raises(UsageError, match="token_id_capture: "):
        capture_settings({"token_id_capture": block}, {})
