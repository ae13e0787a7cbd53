"""Several cycles compared: did the rows move to the weak value?"""

import importlib.util
import re
import runpy
from pathlib import Path

import pytest
from support.designed_runs import task_rows, topic_config, topic_run, write_run

from nemo_gym.siblings.data_designer.cycle import Cycle, cycle_page, p_text, read_cycle, shift
from nemo_gym.siblings.data_designer.evidence import read_evidence
from nemo_gym.siblings.data_designer.refine import refine
from nemo_gym.wire.items import assistant
from nemo_gym.wire.jsonl import encode
from nemo_gym.wire.response import Response

EXAMPLES = Path(__file__).parents[2] / "examples"


def cycle(tmp_path, name, counts, solved):
    """A cycle with so many tasks of each topic, of which so many of four rollouts are solved."""
    rows = []
    for topic, count in counts.items():
        for _ in range(count):
            hits = solved[topic]
            rows += task_rows(len(rows) // 4, ["right"] * hits + ["no"] * (4 - hits), topic=topic)
    return Cycle(read_evidence(write_run(tmp_path / f"{name}.jsonl", rows), ["topic"]), counts)


SOLVED = {"easy": 4, "middle": 2, "hard": 1}


@pytest.fixture
def cycles(tmp_path):
    return [
        cycle(tmp_path, "one", {"easy": 30, "middle": 30, "hard": 30}, SOLVED),
        cycle(tmp_path, "two", {"easy": 10, "middle": 30, "hard": 50}, SOLVED),
    ]


def test_rows_that_move_to_the_weakest_value_are_told_from_chance(cycles):
    moved = shift(*cycles, "topic")

    assert moved.value == "hard"
    assert (moved.before, moved.after) == ((30, 90), (50, 90))
    assert moved.rise == pytest.approx(20 / 90)
    # p = 80/180, z = (50/90 - 30/90) / sqrt(p (1 - p) 2/90)
    assert moved.proportion.statistic == pytest.approx(3.0, abs=0.01)
    assert moved.proportion.p_value < 0.01
    assert moved.mixture.degrees == 2


def test_rows_are_counted_in_the_tasks_also_those_without_rollouts(tmp_path):
    rows = [
        row
        for place in range(6)
        for row in task_rows(place, ["right"], topic="easy" if place % 3 else "hard")
    ]
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_bytes(b"".join(encode(row) + b"\n" for row in rows))

    read = read_cycle(tasks, write_run(tmp_path / "run.jsonl", rows[:2]), "topic")

    assert read.rows == {"hard": 2, "easy": 4}
    assert len(read.evidence.tasks) == 2


def test_equal_data_sets_show_no_shift(cycles):
    assert shift(cycles[0], cycles[0], "topic").proportion.p_value == 1.0


def test_a_data_set_drawn_with_the_refined_weights_has_shifted(tmp_path):
    first = read_evidence(
        topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 5, "hard": 2}, tasks=40), ["topic"]
    )
    (change,) = refine(topic_config(), first).weights
    before = Cycle(first, {"easy": 40, "middle": 40, "hard": 40})
    counts = {
        str(value): round(120 * weight) for value, weight in zip(change.values, change.after, strict=True)
    }

    moved = shift(before, cycle(tmp_path, "second", counts, SOLVED), "topic")

    assert moved.value == "hard"
    assert moved.proportion.statistic > 0
    assert moved.proportion.p_value < 0.001


def test_the_page_names_the_value_the_test_and_its_source(cycles):
    page = cycle_page(cycles, "topic", reports=["report_1/report.html"])

    for text in (page.html(), page.markdown()):
        assert "33% → 56%" in text
        assert "Fleiss, Levin and Paik" in text
    assert page.html().count("<svg") == 2


def test_a_value_that_a_later_cycle_lacks_is_shown_as_such(tmp_path, cycles):
    later = cycle(tmp_path, "later", {"middle": 4, "hard": 4}, SOLVED)

    assert "no tasks" in cycle_page([cycles[0], later], "topic").html()


def test_a_value_with_a_long_name_leaves_room_for_the_rest(tmp_path):
    name = "very long " * 40
    one = cycle(tmp_path, "one", {name: 4, "b": 4}, {name: 0, "b": 10})

    html = cycle_page([one, one], "topic").html()

    assert max(map(len, re.findall(r"<(?:b|th class='number')>([^<]*)<", html))) <= 40


def test_small_p_values_are_bounded():
    assert p_text(1e-9) == "< 0.0001"
    assert p_text(0.25) == "0.2500"


@pytest.mark.parametrize(
    ("text", "expected", "reward"),
    [
        ("The capital of France is Paris.", "Paris", 1.0),
        ("It is not Paris.", "Paris", 0.0),
        ("3 + 4 = 7", "7", 1.0),
        ("The answer is 8.", "7", 0.0),
        ("It could be 7 or 8.", "7", 0.0),
    ],
)
def test_the_environment_of_the_demo_takes_one_stated_answer(text, expected, reward):
    environment = runpy.run_path(str(EXAMPLES / "cycle_demo" / "short_questions.py"))["ShortQuestions"]()
    task = environment.Task(expected_answer=expected)

    assert environment.verify(task, Response.of([assistant(text)]), None).value == reward


def test_the_demo_can_be_imported_without_data_designer():
    spec = importlib.util.spec_from_file_location("cycle_demo_example", EXAMPLES / "cycle_demo.py")
    module = importlib.util.module_from_spec(spec)

    spec.loader.exec_module(module)

    assert module.COLUMN == "topic"
