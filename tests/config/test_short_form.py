from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.resolve import Config, resolve
from nemo_gym.config.short_form import expand_flat

MODEL = {"type": "chat", "url": "http://h/v1", "name": "m"}


def resolved(tree: dict[str, Any], *overrides: str) -> Config:
    return resolve(overrides=overrides, initial=tree, offline=True, use_env_file=False)


def test_the_short_form_means_the_same_as_the_long_one() -> None:
    flat = resolved({"environment": "mcqa", "agent": "simple_agent", "model": MODEL})
    long = resolve(
        ["resources_servers/mcqa/configs/mcqa.yaml"],
        initial={"policy_model": {"responses_api_models": {"chat": {"entrypoint": "app.py", **MODEL}}}},
        offline=True,
        use_env_file=False,
    )
    assert list(flat.instances) == list(long.instances) == ["mcqa", "mcqa_simple_agent", "policy_model"]
    assert flat.instances["mcqa"] == long.instances["mcqa"]
    assert flat.instances["mcqa_simple_agent"].references == long.instances["mcqa_simple_agent"].references


def test_parts_have_settings() -> None:
    config = resolved(
        {
            "environment": {"name": "mcqa", "grading_mode": "lenient_boxed"},
            "agent": {"name": "tool_loop", "max_steps": 8},
            "model": MODEL,
        }
    )
    assert config.instances["mcqa"].settings == {"grading_mode": "lenient_boxed"}
    assert config.instances["mcqa_tool_loop"].settings["max_steps"] == 8
    assert config.instances["policy_model"].settings == {"url": "http://h/v1", "name": "m"}


def test_the_agent_that_fits_is_taken_and_the_model_left_open() -> None:
    config = resolved({"environment": "sokoban"})
    assert [one.implementation for one in config.instances.values()] == [
        "sokoban",
        "gymnasium_agent",
        "dummy_model",
    ]


def test_what_is_written_the_long_way_wins() -> None:
    config = resolved({"environment": "mcqa", "model": "embedded"}, "++mcqa.resources_servers.mcqa.port=4444")
    assert config.instances["mcqa"].port == 4444


def test_the_command_line_reaches_into_the_short_form() -> None:
    config = resolved({"environment": "mcqa", "model": MODEL}, "model.name=other", "agent=tool_loop")
    assert config.instances["policy_model"].settings["name"] == "other"
    assert "mcqa_tool_loop" in config.instances


def test_an_environment_can_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "walk.py"
    path.write_text(
        "from nemo_gym import StepEnvironment\n\n\nclass Walk(StepEnvironment):\n    '''Walk.'''\n"
    )
    config = resolved({"environment": str(path), "model": "random"})
    assert config.instances["walk"].entrypoint == str(path)
    assert "walk_gymnasium_agent" in config.instances


def test_without_an_environment_the_same_words_are_parameters() -> None:
    tree = {"agent": "x", "model": {"a": 1}}
    assert expand_flat(tree, []) == tree
    long = {"environment": {"resources_servers": {"e": {}}}}
    assert expand_flat(long, []) == long


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"environment": "mcqqa"}, "no environment named 'mcqqa'. Did you mean 'mcqa'?"),
        ({"environment": {"nam": "mcqa"}}, "environment: expected a name, or a mapping with a 'name'"),
        (
            {"environment": "mcqa", "agent": "tool_lop"},
            "no agent named 'tool_lop'. Did you mean 'tool_loop'?",
        ),
        (
            {"environment": "mcqa", "model": {"url": "x"}},
            "model: expected a name, or a mapping with a 'type'",
        ),
        (
            {"environment": "mcqa", "model": "chatt"},
            "no model type 'chatt'. Did you mean 'chat'?",
        ),
        (
            {"environment": {"name": "mcqa", "grading_mod": 1}},
            "environment mcqa has no setting 'grading_mod' (settings: grading_mode). "
            "Did you mean 'grading_mode'?",
        ),
        (
            {"environment": "mcqa", "agent": {"name": "tool_loop", "max_step": 1}},
            "agent 'tool_loop' has no setting 'max_step' (settings: max_steps, tool_timeout, turn_timeout). "
            "Did you mean 'max_steps'?",
        ),
    ],
)
def test_a_mistake_is_named_with_the_nearest_word(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        expand_flat(tree, [])
    assert message in str(raised.value)
