"""Generated tasks: splits are disjoint, no task comes twice, and a small supply of tasks ends."""

from __future__ import annotations

import random

import pytest

from nemo_gym.environments.base import Environment
from nemo_gym.environments.generated_tasks import SPLIT_SHARES, after_solved_tasks, generate_tasks
from nemo_gym.wire.errors import UsageError
from nemo_gym.wire.items import message_text
from nemo_gym.wire.params import ask
from nemo_gym.wire.task import Task


class Sums(Environment):
    class Task(Task):
        question: str


def numbers(split: str, seed: int, n: int | None, *, most: int = 10**6) -> list[str]:
    def make(rng: random.Random) -> Sums.Task:
        return Sums.Task(question=f"{rng.randrange(most)} + 1")

    tasks = generate_tasks(Sums(), make, lambda task: task.question, split=split, seed=seed, n=n)
    return [task.question for task in tasks]


def test_the_same_seed_gives_the_same_tasks_and_another_seed_gives_others() -> None:
    assert numbers("train", 1, 50) == numbers("train", 1, 50) == numbers("train", 1, 80)[:50]
    assert set(numbers("train", 1, 50)).isdisjoint(numbers("train", 2, 50))


def test_a_task_belongs_to_one_split_whatever_the_seed_is() -> None:
    by_split = [
        {task for seed in range(3) for task in numbers(split, seed, None, most=500)} for split in SPLIT_SHARES
    ]
    assert all(by_split)
    assert len(set.union(*by_split)) == sum(map(len, by_split)) == 500


def test_no_number_means_a_thousand_tasks_and_no_task_comes_twice() -> None:
    assert len(set(numbers("test", 0, None))) == 1000


def test_a_wrong_split_is_refused_at_the_call() -> None:
    with pytest.raises(UsageError, match="no split 'tset'; it has train, validation, test, example"):
        numbers("tset", 0, 1)


@pytest.mark.parametrize("number", range(4))
def test_two_solved_tasks_with_different_answers_come_first_and_never_the_task_itself(number: int) -> None:
    def sum_task(number: int) -> Sums.Task:
        return Sums.Task(responses_create_params={**ask(f"{number} + 1?")}, question=str(number))

    task = after_solved_tasks(
        sum_task(number), lambda rng: sum_task(rng.randrange(4)), lambda one: str(int(one.question) + 1)
    )

    messages = [message_text(item) for item in task.responses_create_params["input"]]
    first, answer, second, other_answer, last = messages
    assert last == f"{number} + 1?"
    assert (first, second) == (f"{int(answer) - 1} + 1?", f"{int(other_answer) - 1} + 1?")
    assert len({first, second, last}) == 3
