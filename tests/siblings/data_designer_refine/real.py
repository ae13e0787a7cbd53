"""What `refine` writes, in the real Data Designer: its own validation, and the data set of the next cycle."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from support.designed_runs import task_rows, topic_config, topic_run, write_run
from support.schema_endpoint import SchemaEndpoint, schema_endpoint

from nemo_gym.siblings.data_designer.config import load_config, write_yaml
from nemo_gym.siblings.data_designer.cycle import read_cycle, shift
from nemo_gym.siblings.data_designer.generation import create_dataset, validate_config
from nemo_gym.siblings.data_designer.presets import find_preset, preset_names
from nemo_gym.siblings.data_designer.records import open_dataset
from nemo_gym.siblings.data_designer.refine import RefineOptions, refine_files
from nemo_gym.siblings.data_designer.samplers import all_values, is_categorical, samplers
from nemo_gym.siblings.data_designer.tasks import import_tasks

DEMO = Path(__file__).parents[3] / "examples" / "cycle_demo"
MODEL = {"alias": "m", "model": "x", "provider": "nvidia"}
LLM = {"name": "text", "column_type": "llm-text", "model_alias": "m", "prompt": "Write about {{ topic }}."}


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch, tmp_path):
    monkeypatch.setenv("NEMO_TELEMETRY_ENABLED", "false")
    monkeypatch.chdir(tmp_path)


def sampler(name, kind, params, **more):
    return {"name": name, "column_type": "sampler", "sampler_type": kind, "params": params, **more}


def refined(run, config, tmp_path, **options):
    write_yaml(tmp_path / "config.yaml", config)
    validate_config(tmp_path / "config.yaml")
    refine_files(run, tmp_path / "config.yaml", tmp_path / "next.yaml", options=RefineOptions(**options))
    return tmp_path / "next.yaml"


def run_of(config, tmp_path, rate):
    """A run over tasks with every value of the samplers, of whose rollouts `rate` in ten are solved."""
    columns = [column for column in samplers(config) if is_categorical(column)]
    rows = []
    for place in range(120):
        values = {one["name"]: all_values(one)[place % len(all_values(one))] for one in columns}
        hits = sum(rate(name, place) for name in values) / max(1, len(values)) / 10 * 4
        rows += task_rows(place, ["right"] * round(hits) + ["no"] * (4 - round(hits)), **values)
    return write_run(tmp_path / "run.jsonl", rows)


def test_weights_skips_and_seeds_are_accepted_by_its_own_validation(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 5, "hard": 2})
    config = topic_config(
        LLM,
        {
            **LLM,
            "name": "code",
            "column_type": "llm-code",
            "code_lang": "python",
            "prompt": "For {{ text }}.",
        },
        {**LLM, "name": "other", "skip": {"when": "{{ topic == 'hard' }}", "value": ""}},
        model_configs=[MODEL],
    )

    following = refined(run, config, tmp_path, example_in="text")

    validate_config(following)
    columns = {one["name"]: one for one in load_config(following)["data_designer"]["columns"]}
    assert columns["text"]["skip"]
    assert columns["code"]["skip"]
    assert "hard_prompt" in columns["text"]["prompt"]


@pytest.mark.parametrize("topic", ["easy", "it's", "chess 🏋️", 'a "b"', "ü \\ %"])
def test_a_skip_condition_leaves_out_the_rows_of_mastered_values_only(tmp_path, topic):
    run = topic_run(tmp_path / "run.jsonl", {topic: 10, "hard": 2})
    config = topic_config({**LLM, "name": "text"}, topics=[topic, "hard"], model_configs=[MODEL])
    columns = load_config(refined(run, config, tmp_path, seeds=0))["data_designer"]["columns"]
    skip = columns[1]["skip"]
    title = {"name": "title", "column_type": "expression", "expr": "About {{ topic }}", "skip": skip}
    template = {"input": "{% if title is string %}{{ title }}{% else %}none{% endif %}"}
    processor = {"name": "gym_tasks", "processor_type": "schema_transform", "template": template}
    write_yaml(tmp_path / "skip.yaml", topic_config(title, topics=[topic, "hard"], processors=[processor]))

    folder = create_dataset(tmp_path / "skip.yaml", tmp_path / "artifacts", records=60)

    rows = [row for _, row in open_dataset(folder).records()]
    assert {row["topic"] for row in rows} == {topic, "hard"}
    assert all((row["title"] is None) == (row["topic"] == topic) for row in rows)
    inputs = [row["input"] for _, row in open_dataset(folder, native=True).records()]
    assert inputs == [row["title"] or "none" for row in rows]


def test_its_command_line_accepts_the_configuration(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 10, "middle": 5, "hard": 2})
    title = {"name": "title", "column_type": "expression", "expr": "{{ topic }}"}
    following = refined(run, topic_config(title), tmp_path)

    command = [str(Path(sys.executable).with_name("data-designer")), "validate", str(following)]
    environment = {**os.environ, "DATA_DESIGNER_HOME": str(tmp_path / "home")}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "valid" in result.stdout.lower()


def test_every_preset_is_still_valid_after_a_refinement(tmp_path):
    for name in preset_names():
        config = load_config(find_preset(name).config_path)
        run = run_of(config, tmp_path, lambda column, place: 10 if place % 3 else 2)

        refine_files(run, find_preset(name).config_path, tmp_path / f"{name}.yaml")

        validate_config(tmp_path / f"{name}.yaml")


@pytest.mark.parametrize("quote", ["plain", "it's", 'a "b"', "ü and \\ and %", "{{ x }}", "日本"])
def test_values_with_quotes_and_other_letters_reach_the_conditions(tmp_path, quote):
    rows = []
    for topic, item, is_solved in [(quote, "a", 1), (quote, "b", 0), ("hard", "c", 0), ("hard", "d", 1)]:
        for _ in range(10):
            rows += task_rows(len(rows) // 2, ["right" if is_solved else "no"] * 2, topic=topic, item=item)
    item = sampler(
        "item", "subcategory", {"category": "topic", "values": {quote: ["a", "b"], "hard": ["c", "d"]}}
    )
    run = write_run(tmp_path / "run.jsonl", rows)

    following = refined(run, topic_config(item, topics=[quote, "hard"]), tmp_path, seeds=0)
    folder = create_dataset(following, tmp_path / "artifacts", records=200)

    pairs = Counter((row["topic"], row["item"]) for _, row in open_dataset(folder).records())
    assert set(pairs) == {(quote, "a"), (quote, "b"), ("hard", "c"), ("hard", "d")}
    assert pairs[quote, "b"] > 3 * pairs[quote, "a"]
    assert pairs["hard", "c"] > 3 * pairs["hard", "d"]


def test_conditional_parameters_and_numbers_with_a_conversion_keep_working(tmp_path):
    level = sampler(
        "level",
        "category",
        {"values": [1, 2]},
        conditional_params={"topic == 'hard'": {"values": [2, 3], "weights": [1, 1]}},
        convert_to="int",
    )
    rows = []
    for topic, number, is_solved in [("easy", 1, 1), ("easy", 2, 0), ("hard", 2, 1), ("hard", 3, 0)]:
        for _ in range(10):
            rows += task_rows(len(rows) // 2, ["right" if is_solved else "no"] * 2, topic=topic, level=number)
    run = write_run(tmp_path / "run.jsonl", rows)

    following = refined(run, topic_config(level, topics=["easy", "hard"]), tmp_path, seeds=0)
    folder = create_dataset(following, tmp_path / "artifacts", records=200)

    pairs = Counter((row["topic"], row["level"]) for _, row in open_dataset(folder).records())
    assert pairs["hard", 3] > 3 * pairs["hard", 2]
    assert pairs["easy", 2] > 3 * pairs["easy", 1]


def test_seed_rows_are_columns_of_the_next_data_set(tmp_path):
    run = topic_run(tmp_path / "run.jsonl", {"easy": 8, "hard": 3})
    title = {"name": "title", "column_type": "expression", "expr": "{{ topic }} after {{ hard_prompt }}"}

    write_yaml(tmp_path / "config.yaml", topic_config(topics=["easy", "hard"]))
    refine_files(run, tmp_path / "config.yaml", tmp_path / "next.yaml")
    config = load_config(tmp_path / "next.yaml")
    config["data_designer"]["columns"].append(title)
    write_yaml(tmp_path / "next.yaml", config)
    folder = create_dataset(tmp_path / "next.yaml", tmp_path / "artifacts", records=20)

    seeds = {
        json.loads(line)["hard_prompt"] for line in (tmp_path / "next.hard.jsonl").read_text().splitlines()
    }
    rows = [row for _, row in open_dataset(folder).records()]
    assert {row["hard_prompt"] for row in rows} <= seeds
    assert all(row["title"] == f"{row['topic']} after {row['hard_prompt']}" for row in rows)


def test_the_second_cycle_has_more_rows_of_the_weakest_topic_than_chance_lets_expect(tmp_path):
    solved = {"known capitals": 8, "other capitals": 5, "products": 1}
    config, cycles = DEMO / "config.yaml", []
    for cycle in (1, 2):
        folder = create_dataset(config, tmp_path / "artifacts", records=800, name=f"cycle_{cycle}")
        report = import_tasks(folder, tmp_path / "tasks.jsonl", environment=str(DEMO / "short_questions.py"))
        assert (report.records, report.tasks, report.left_out) == (800, 800, [])
        rows = []
        for place, line in enumerate((tmp_path / "tasks.jsonl").read_text().splitlines()):
            topic = json.loads(line)["data_designer"]["columns"]["topic"]
            hits = round(4 * solved[topic] / 10)
            rows += task_rows(place, ["right"] * hits + ["no"] * (4 - hits), topic=topic)
        run = write_run(tmp_path / f"run_{cycle}.jsonl", rows)
        cycles.append(read_cycle(tmp_path / "tasks.jsonl", run, "topic"))
        following = tmp_path / f"config_{cycle + 1}.yaml"
        refine_files(run, config, following)
        config = following

    weights = yaml.safe_load((tmp_path / "config_2.yaml").read_text())["data_designer"]["columns"][0][
        "params"
    ]
    moved = shift(*cycles, "topic")
    print(moved)
    assert dict(zip(weights["values"], weights["weights"], strict=True))["products"] == max(
        weights["weights"]
    )
    assert moved.value == "products"
    assert moved.proportion.statistic > 0
    assert moved.proportion.p_value < 0.001
    assert moved.mixture.p_value < 0.001


def rewording(prompt, rng):
    """The writer and the policy of the demo: it words a question, or answers it, rightly at times."""
    if question := re.search(r"Keep every name and number: (.*)", prompt):
        return f"Answer briefly. {question[1]}"
    if numbers := re.search(r"(\d+) \* (\d+)", prompt):
        return str(int(numbers[1]) * int(numbers[2]) + rng.randrange(2))
    return "I don't know."


def test_the_demo_runs_with_a_chat_endpoint_that_words_the_questions(tmp_path):
    endpoint = SchemaEndpoint(text=rewording)
    sizes = ("--cycles", "2", "--records", "60", "--tasks", "20", "--repeats", "2")

    with schema_endpoint(endpoint) as url:
        done = subprocess.run(
            [
                sys.executable,
                DEMO.with_suffix(".py"),
                "--model-url",
                url,
                "--model",
                "m",
                "--output",
                "out",
                *sizes,
            ],
            capture_output=True,
            text=True,
            check=False,
        )

    assert "rows of the weakest topic" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "out" / "report" / "report.html").is_file()
    rows = [json.loads(line) for line in (tmp_path / "out" / "tasks_1.jsonl").read_text().splitlines()]
    prompts = [row["responses_create_params"]["input"][0]["content"] for row in rows]
    assert len(prompts) == 60
    assert all(prompt.startswith("Answer briefly. What is") for prompt in prompts)
    assert {request["model"] for request in endpoint.requests} == {"m"}
