"""Writing tasks that a text can follow."""

from __future__ import annotations

import random

import pytest

from nemo_gym.environments.instruction_tasks import NO_ANSWERS, Draft, Kind, Plan, writing_task
from nemo_gym.verifiers.instructions import check_instructions


def no_comma(_: random.Random, __: Draft) -> Plan:
    return {}, "Use no commas."


def title(_: random.Random, draft: Draft) -> Plan:
    draft.before.append("<<Title>>")
    return {}, "Give it a title."


KINDS = (
    Kind(id="punctuation:no_comma", plan=no_comma),
    Kind(id="detectable_format:title", plan=title, is_easy=True),
)


def test_a_task_has_a_text_that_follows_it() -> None:
    task = writing_task(random.Random(0), 2, KINDS, lambda following: float(following.all))

    checks = check_instructions(task.ids, task.kwargs)
    assert checks.strict(task.answer).all
    assert not any(checks.strict(text).all for text in NO_ANSWERS)
    assert "- Use no commas." in task.prompt


def test_a_task_that_pays_for_no_answer_is_never_made() -> None:
    with pytest.raises(RuntimeError, match="no task of level 2"):
        writing_task(random.Random(0), 2, KINDS, lambda following: following.fraction)


def test_level_0_uses_only_easy_kinds() -> None:
    tasks = [
        writing_task(random.Random(n), 0, KINDS, lambda following: following.fraction) for n in range(20)
    ]

    assert {tuple(task.ids) for task in tasks} == {("detectable_format:title",)}
