"""From rollouts and a configuration to the next configuration, without Data Designer."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Template
from support.designed_runs import task_rows, topic_config, topic_run, write_run

from nemo_gym.siblings.data_designer.config import write_yaml
from nemo_gym.siblings.data_designer.evidence import SuspicionRule, read_evidence
from nemo_gym.siblings.data_designer.refine import (
    RefineOptions,
    instructive,
    next_weights,
    refine,
    refine_files,
)
from nemo_gym.wire.errors import UsageError

LLM = {"name": "text", "column_type": "llm-text", "model_alias": "m", "prompt": "Write about {{ topic }}."}


def columns_of(refinement):
    return {column["name"]: column for column in refinement.config["data_designer"]["columns"]}


@pytest.fixture
def run(tmp_path):
    return topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 5, "hard": 2})


def test_the_weakest_of_three_categories_gets_the_most_weight(run):
    evidence = read_evidence(run, ["topic"])

    refinement = refine(topic_config(), evidence)

    easy, middle, hard = columns_of(refinement)["topic"]["params"]["weights"]
    assert easy < middle < hard
    assert easy == pytest.approx(0.2 / 3, abs=0.01)  # nothing but the floor
    assert easy + middle + hard == pytest.approx(1.0, abs=1e-5)


def test_the_given_configuration_is_not_changed_and_other_parts_stay(run):
    config = topic_config(LLM, model_configs=[{"alias": "m", "model": "x"}])
    before = json.dumps(config)

    refinement = refine(config, read_evidence(run, ["topic"]))

    assert json.dumps(config) == before
    assert refinement.config["library_version"] == "0.9.6"
    assert refinement.config["data_designer"]["model_configs"] == [{"alias": "m", "model": "x"}]


def test_values_that_differ_by_chance_only_keep_their_weights(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 5, "middle": 5, "hard": 5})

    refinement = refine(topic_config(), read_evidence(run, ["topic"]))

    assert refinement.weights == []
    assert columns_of(refinement)["topic"]["params"] == {"values": ["easy", "middle", "hard"]}
    assert any("no more than chance" in note for note in refinement.notes)


def test_the_learnable_aim_prefers_values_that_are_solved_sometimes(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 5, "hard": 0})

    refinement = refine(topic_config(), read_evidence(run, ["topic"]), RefineOptions(aim="learnable"))

    easy, middle, hard = columns_of(refinement)["topic"]["params"]["weights"]
    assert middle > 0.8
    assert easy == pytest.approx(hard)


def test_a_value_without_tasks_keeps_its_share(run):
    config = topic_config(topics=["easy", "middle", "hard", "unseen"])

    refinement = refine(config, read_evidence(run, ["topic"]))

    assert columns_of(refinement)["topic"]["params"]["weights"][3] == pytest.approx(0.25, abs=1e-5)


WEIGHTS = st.lists(st.tuples(st.floats(0.001, 1), st.none() | st.floats(0, 1)), min_size=1, max_size=8).map(
    lambda pairs: ([one for one, _ in pairs], [two for _, two in pairs])
)


@given(WEIGHTS, st.floats(0, 1))
def test_new_weights_sum_to_one_and_none_is_below_the_floor(weights, floor):
    raw, scores = weights
    before = [one / sum(raw) for one in raw]

    after = next_weights(before, scores, floor)

    assert sum(after) == pytest.approx(1.0)
    if any(scores):
        assert min(after) >= floor / len(after) - 1e-9


def test_scores_order_the_weights():
    after = next_weights([0.25] * 4, [0.1, 0.4, None, 0.2], 0.2)

    assert after[0] < after[3] < after[1]
    assert after[2] == pytest.approx(0.25)


def test_a_condition_has_weights_of_its_own(tmp_path):
    rows = []
    for topic in ("easy", "hard"):
        for place in range(12):
            level = "low" if place % 2 else "high"
            is_solved = topic == "easy" or level == "low"
            rows += task_rows(len(rows) // 2, ["right" if is_solved else "no"] * 2, topic=topic, level=level)
    level = {
        "name": "level",
        "column_type": "sampler",
        "sampler_type": "category",
        "params": {"values": ["low", "high"]},
        "conditional_params": {"topic == 'hard'": {"values": ["low", "high"], "weights": [3, 1]}},
    }
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic", "level"])

    column = columns_of(refine(topic_config(level, topics=["easy", "hard"]), evidence))["level"]

    low, high = column["conditional_params"]["topic == 'hard'"]["weights"]
    assert high > 0.8 > low
    assert "weights" not in column["params"]  # easy tasks are all solved at both levels


def test_a_subcategory_becomes_a_category_with_weights_for_each_parent(tmp_path):
    rows = []
    for topic, item, is_solved in [("easy", "a", 1), ("easy", "b", 0), ("hard", "c", 1), ("hard", "d", 1)]:
        for _ in range(8):
            rows += task_rows(len(rows) // 2, ["right" if is_solved else "no"] * 2, topic=topic, item=item)
    item = {
        "name": "item",
        "column_type": "sampler",
        "sampler_type": "subcategory",
        "params": {"category": "topic", "values": {"easy": ["a", "b"], "hard": ["c", "d"]}},
    }
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic", "item"])

    column = columns_of(refine(topic_config(item, topics=["easy", "hard"]), evidence))["item"]

    assert column["sampler_type"] == "category"
    assert column["params"] == {"values": ["a", "b", "c", "d"]}
    assert list(column["conditional_params"]) == ['topic == "easy"', 'topic == "hard"']
    assert column["conditional_params"]['topic == "easy"']["weights"] == pytest.approx([0.1, 0.9], abs=0.03)
    assert column["conditional_params"]['topic == "hard"']["weights"] == [0.5, 0.5]


def test_numbers_match_their_texts(tmp_path):
    rows = []
    for level in (1, 2):
        for _ in range(8):
            rows += task_rows(len(rows) // 2, ["right" if level == 1 else "no"] * 2, level=str(level))
    config = topic_config(topics=[1, 2])
    config["data_designer"]["columns"][0]["name"] = "level"
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["level"])

    one, two = columns_of(refine(config, evidence))["level"]["params"]["weights"]

    assert two > 0.8 > one


def test_llm_columns_are_skipped_for_mastered_values(run):
    judge = {"name": "judge", "column_type": "llm-judge", "skip": {"when": "{{ topic == 'x' }}", "value": 0}}
    expression = {"name": "title", "column_type": "expression", "expr": "{{ topic }}"}

    refinement = refine(topic_config(LLM, judge, expression), read_evidence(run, ["topic"]))

    columns = columns_of(refinement)
    assert columns["text"]["skip"] == {"when": '{{ topic == "easy" }}'}
    assert columns["judge"]["skip"] == {"when": "{{ (topic == 'x') or topic == \"easy\" }}", "value": 0}
    assert "skip" not in columns["title"]
    assert [skip.values for skip in refinement.skips] == [["topic = easy"]] * 2


@pytest.mark.parametrize("topic", ["chess 🏋️", 'a "b"', "x}}y", "back\\slash", "zwölf", "two\nlines"])
def test_a_skip_condition_holds_for_any_text(tmp_path, topic):
    run = topic_run(tmp_path / "run.jsonl", {topic: 10, "hard": 2})

    (skip,) = refine(topic_config(LLM, topics=[topic, "hard"]), read_evidence(run, ["topic"])).skips

    condition = Template(skip.when)
    assert [condition.render(topic=one) for one in (topic, "hard")] == ["True", "False"]


def test_a_mastered_subcategory_of_a_mastered_value_needs_no_condition_of_its_own(tmp_path):
    rows = []
    for topic, item, is_solved in [("easy", "a", 1), ("easy", "b", 1), ("hard", "c", 1), ("hard", "d", 0)]:
        for _ in range(8):
            rows += task_rows(len(rows) // 2, ["right" if is_solved else "no"] * 2, topic=topic, item=item)
    item = {
        "name": "item",
        "column_type": "sampler",
        "sampler_type": "subcategory",
        "params": {"category": "topic", "values": {"easy": ["a", "b"], "hard": ["c", "d"]}},
    }
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic", "item"])

    (skip,) = refine(topic_config(item, LLM, topics=["easy", "hard"]), evidence).skips

    assert skip.when == '{{ topic == "easy" or item == "c" }}'


def test_a_skip_condition_does_not_grow_when_the_same_value_stays_mastered(run):
    evidence = read_evidence(run, ["topic"])
    once = refine(topic_config(LLM), evidence)

    twice = refine(once.config, evidence)

    assert columns_of(twice)["text"]["skip"] == columns_of(once)["text"]["skip"]


def test_a_skip_condition_of_several_expressions_stays(run):
    when = "{{ topic }}{{ topic }}"

    refinement = refine(topic_config({**LLM, "skip": {"when": when}}), read_evidence(run, ["topic"]))

    assert columns_of(refinement)["text"]["skip"] == {"when": when}
    assert any("no single expression" in note for note in refinement.notes)


def test_nothing_is_skipped_where_every_value_is_mastered(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 10})

    refinement = refine(topic_config(LLM), read_evidence(run, ["topic"]))

    assert refinement.skips == []
    assert any("every value is mastered" in note for note in refinement.notes)


def test_few_tasks_are_no_mastery(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 10, "hard": 2}, tasks=4)

    assert refine(topic_config(LLM), read_evidence(run, ["topic"])).skips == []


def test_instructive_failures_become_seed_rows(run, tmp_path):
    config = tmp_path / "config.yaml"
    write_yaml(config, topic_config(LLM))

    _, refinement = refine_files(
        run, config, tmp_path / "next.yaml", options=RefineOptions(seeds=3, example_in="text")
    )

    seeds = [json.loads(line) for line in (tmp_path / "next.hard.jsonl").read_text().splitlines()]
    document = yaml.safe_load((tmp_path / "next.yaml").read_text())["data_designer"]
    assert len(seeds) == 3
    assert set(seeds[0]) == {
        "hard_topic",
        "hard_prompt",
        "hard_expected",
        "hard_wrong_answer",
        "hard_pass_rate",
    }
    assert all(0 < seed["hard_pass_rate"] < 1 for seed in seeds)
    assert document["seed_config"]["source"] == {
        "seed_type": "local",
        "path": str(tmp_path / "next.hard.jsonl"),
    }
    assert document["columns"][1]["prompt"].endswith("{{ hard_prompt }}")
    assert refinement.seeds == seeds


def test_seeds_of_an_earlier_refinement_are_replaced_and_the_prompt_does_not_grow(run, tmp_path):
    evidence, options = read_evidence(run, ["topic"]), RefineOptions(example_in="text")
    once = refine(topic_config(LLM), evidence, options, seeds_path=tmp_path / "one.hard.jsonl")

    twice = refine(once.config, evidence, options, seeds_path=tmp_path / "two.hard.jsonl")

    assert twice.config["data_designer"]["seed_config"]["source"]["path"] == str(tmp_path / "two.hard.jsonl")
    assert columns_of(twice)["text"]["prompt"] == columns_of(once)["text"]["prompt"]


@pytest.mark.parametrize("prompt", ["Write about {{ topic }}.", "Write one like {{ hard_prompt }}."])
def test_a_note_says_when_no_prompt_uses_the_seeds(run, tmp_path, prompt):
    config = topic_config({**LLM, "prompt": prompt})

    refinement = refine(config, read_evidence(run, ["topic"]), seeds_path=tmp_path / "a.hard.jsonl")

    assert any("no prompt uses yet" in note for note in refinement.notes) == ("hard_" not in prompt)


def test_seeds_of_the_author_stay(run, tmp_path):
    own = {"source": {"seed_type": "local", "path": "own.parquet"}}

    refinement = refine(
        topic_config(seed_config=own), read_evidence(run, ["topic"]), seeds_path=tmp_path / "a.hard.jsonl"
    )

    assert refinement.config["data_designer"]["seed_config"] == own
    assert refinement.seeds == []


def test_a_label_is_suspected_where_a_strong_run_gives_the_same_other_answer(tmp_path):
    rows = [row for task in range(8) for row in task_rows(task, ["right"] * 4, topic="easy")]
    rows += task_rows(8, ["other"] * 4, topic="hard")
    rows += task_rows(9, ["one", "two", "three", "four"], topic="hard")
    rows += task_rows(10, ["other"] * 2, topic="hard")
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    assert [task.index for task in evidence.suspects] == [8]
    assert evidence.by_value("topic")["hard"].suspects == 1
    assert 8 not in [task.index for task in instructive(evidence, 10)]


def test_a_value_that_the_model_cannot_do_is_weak_and_not_wrongly_labelled(tmp_path):
    rows = [row for task in range(20) for row in task_rows(task, ["right"] * 4, topic="easy")]
    rows += [row for task in range(20, 26) for row in task_rows(task, ["the same"] * 4, topic="hard")]
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    assert evidence.strong
    assert evidence.suspects == []
    assert evidence.by_value("topic")["hard"].rate == 0


def test_a_weak_run_says_nothing_about_labels(tmp_path):
    rows = [row for task in range(8) for row in task_rows(task, ["a", "b", "c", "right"], topic="easy")]
    rows += task_rows(8, ["other"] * 4, topic="hard")
    run = write_run(tmp_path / "run.jsonl", rows)

    assert read_evidence(run, ["topic"]).suspects == []
    assert len(read_evidence(run, ["topic"], rule=SuspicionRule(strong=0.2)).suspects) == 1


def test_failed_rollouts_count_in_no_rate(tmp_path):
    rows = task_rows(0, ["right", None, "wrong", ""], topic="easy") + task_rows(1, [None, None], topic="easy")
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    (task,) = evidence.tasks
    assert (task.scored, task.solved, evidence.failed, evidence.unscored) == (3, 1, 3, 1)
    assert task.failures == {"failed: model_timeout": 1, "wrong answer": 1, "no answer": 1}


@pytest.mark.parametrize("place", ["top", "metadata", "verifier_metadata"])
def test_sampler_values_are_found_wherever_a_row_keeps_them(tmp_path, place):
    rows = task_rows(0, ["right", "no"])
    for row in rows:
        row |= {"topic": "easy"} if place == "top" else {place: {"topic": "easy"}}

    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    assert evidence.tasks[0].values == {"topic": "easy"}


def test_a_field_of_the_verifier_does_not_hide_the_sampled_value(tmp_path):
    rows = [{**row, "reason": "not_solved"} for row in task_rows(0, ["no", "no"], reason="refund")]

    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["reason"])

    assert evidence.tasks[0].values == {"reason": "refund"}


def test_rows_without_any_sampler_column_are_an_error_that_says_what_to_do(tmp_path):
    run = write_run(tmp_path / "run.jsonl", task_rows(0, ["right"]))

    with pytest.raises(UsageError, match=r"no row has a sampler column .*\(topic\)"):
        read_evidence(run, ["topic"])


def test_an_unknown_column_for_the_example_is_an_error(run):
    with pytest.raises(UsageError, match=r"no LLM column 'txet'.*text"):
        refine(topic_config(LLM), read_evidence(run, ["topic"]), RefineOptions(example_in="txet"))


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (7, "Expected `object`, got `int` - at `columns[0]`"),
        ({"column_type": "sampler"}, "missing required field `name`"),
        ({"name": "topic", "column_type": "llm-text", "skip": "{{ x }}"}, "`columns[0].skip`"),
        ({"params": None}, "column topic: Expected `object`, got `null` - at `params`"),
        ({"params": {"values": "easy"}}, "column topic: Expected `array`, got `str` - at `params.values`"),
        ({"params": {"values": []}}, "at `params.values`"),
        ({"params": {"values": ["easy", None]}}, "at `params.values[1]`"),
        (
            {"params": {"values": ["easy", "hard"], "weights": [1]}},
            "weights: expected a share for each value",
        ),
        ({"params": {"values": ["easy", "hard"], "weights": [0, 0]}}, "not all of them 0"),
        ({"params": {"values": ["easy"]}, "conditional_params": {"a == 1": {}}}, "`conditional_params[...]`"),
        ({"sampler_type": "subcategory", "params": {"values": {"a": ["easy"]}}}, "required field `category`"),
        ({"params": {"values": ["easy"]}, "convert_to": "int"}, "column topic: convert_to: "),
    ],
)
def test_a_configuration_with_a_mistake_is_refused_in_one_line(run, tmp_path, column, problem):
    if isinstance(column, dict) and ("params" in column):
        column = {"name": "topic", "column_type": "sampler", "sampler_type": "category", **column}
    write_yaml(tmp_path / "config.yaml", {"columns": [column]})

    with pytest.raises(UsageError) as error:
        refine_files(run, tmp_path / "config.yaml", tmp_path / "next.yaml")

    assert problem in str(error.value)
    assert str(tmp_path / "config.yaml") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["run.jsonl", "run_failures.jsonl", "../run/run.jsonl"])
def test_a_file_of_the_run_is_never_replaced(tmp_path, name):
    (tmp_path / "run").mkdir()
    rows = task_rows(0, ["right", None], topic="easy") + task_rows(1, ["no", "no"], topic="hard")
    run = write_run(tmp_path / "run" / "run.jsonl", rows)
    before = {path: path.read_bytes() for path in run.parent.iterdir()}
    write_yaml(tmp_path / "config.yaml", topic_config(topics=["easy", "hard"]))

    with pytest.raises(UsageError, match="choose another output"):
        refine_files(run, tmp_path / "config.yaml", tmp_path / "run" / name)

    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("values", "row_value", "other", "when"),
    [
        ([False, True], 0, 1, "{{ topic == 0 }}"),
        (["DE", False], "0", "DE", '{{ topic == "0" }}'),
        (["DE", 7], "7", "DE", '{{ topic == "7" }}'),
        ([5, 7], 7, 5, "{{ topic == 7 }}"),
    ],
)
def test_values_are_compared_as_data_designer_draws_them(tmp_path, values, row_value, other, when):
    rows = []
    for index in range(20):
        rows += task_rows(index, ["right", "right"], topic=row_value)
        rows += task_rows(20 + index, ["no", "no"], topic=other)
    evidence = read_evidence(write_run(tmp_path / "run.jsonl", rows), ["topic"])

    refinement = refine(topic_config(LLM, topics=values), evidence)

    (change,) = refinement.weights
    assert len({*change.after}) == 2
    assert columns_of(refinement)["text"]["skip"]["when"] == when


def test_identifiers_and_times_are_not_looked_at(tmp_path):
    rows = [row for task in range(4) for row in task_rows(task, ["right", "no"], topic="easy", id=f"u{task}")]
    config = topic_config({"name": "id", "column_type": "sampler", "sampler_type": "uuid", "params": {}})
    write_yaml(tmp_path / "config.yaml", config)

    evidence, _ = refine_files(
        write_run(tmp_path / "run.jsonl", rows), tmp_path / "config.yaml", tmp_path / "next.yaml"
    )

    assert evidence.columns == ["topic"]


def test_a_configuration_without_samplers_is_an_error(run, tmp_path):
    write_yaml(tmp_path / "config.yaml", {"columns": [LLM]})

    with pytest.raises(UsageError, match="no sampler columns"):
        refine_files(run, tmp_path / "config.yaml", tmp_path / "next.yaml")
