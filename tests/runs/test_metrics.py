"""Metrics of a run: coverage, means, intervals and the aggregate file, from rows in any order."""

import json
import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.runs.metrics import MetricsAccumulator, RunSummary
from nemo_gym.stats.passes import compute_pass_majority_metrics
from nemo_gym.wire.errors import UsageError


def row(task, rollout, reward, agent="math_agent", usage=None, **fields):
    ref = {"type": "responses_api_agents", "name": agent}
    identity = {"_ng_task_index": task, "_ng_rollout_index": rollout, "agent_ref": ref}
    params = {"input": "q", "temperature": 0.7}
    response = {"output": [{"type": "message"}], "created_at": 1.5, "usage": usage}
    return {"responses_create_params": params, "response": response, "reward": reward, **identity, **fields}


def usage(wrote):
    details = {"cached_tokens": 4}
    return {
        "input_tokens": 3,
        "output_tokens": wrote,
        "total_tokens": 3 + wrote,
        "input_tokens_details": details,
    }


def accumulate(rows, **options):
    metrics = MetricsAccumulator(**options)
    for one in rows:
        metrics.add(json.dumps(one).encode())
    return metrics


def written(metrics, folder):
    path = folder / "run_aggregate_metrics.json"
    metrics.write(path)
    text = path.read_text()
    entries = json.loads(text)
    assert text.endswith("]\n")
    assert [file.name for file in folder.iterdir()] == [path.name]
    return entries


class TestFile:
    def test_the_example_of_the_contract(self, tmp_path):
        rows = [
            row(0, place, float(place), usage=usage(2), symbolic=bool(place), answer=str(place))
            for place in (0, 1)
        ]
        (entry,) = written(accumulate(rows), tmp_path)
        assert entry["agent_ref"] == {"name": "math_agent"}
        metrics = entry["agent_metrics"]
        expected = {
            "std/reward": math.sqrt(0.5),
            "median/reward": 0.5,
            "min/reward": 0.0,
            "max/reward": 1.0,
            "mean/reward": 0.5,
            "mean/output_tokens": 2.0,
            "mean/total_tokens": 5.0,
            "mean/symbolic": 0.5,
            "pass@1/accuracy": 50.0,
            "pass@2/accuracy": 100.0,
            "pass@1[avg-of-2]/accuracy": 50.0,
            "coverage/requested": 2,
            "coverage/scored": 2,
            "coverage/missing": 0,
        }
        assert {name: metrics[name] for name in expected} == pytest.approx(expected)
        assert metrics["per_sample_aggregate"] == {"accuracy": [0.0, 100.0]}
        assert entry["key_metrics"] == {
            key: value for key, value in metrics.items() if key.startswith("mean/")
        }
        (group,) = entry["group_level_metrics"]
        assert (group["_ng_task_index"], group["mean/reward"], group["num_rollouts"]) == (0, 0.5, 2)
        assert (group["expected_num_rollouts"], group["missing_num_rollouts"]) == (2, 0)
        assert group["reward_profile_completion_pct"] == 100.0
        assert group["sample"] == {"agent_ref": {"name": "math_agent"}}
        assert group["rollout_infos"][1] == {
            "rollout_id": "0:1",
            "_ng_task_index": 0,
            "_ng_rollout_index": 1,
            "reward": 1.0,
            "symbolic": 1.0,
            "input_tokens": 3.0,
            "output_tokens": 2.0,
            "total_tokens": 5.0,
        }

    def test_only_numbers_of_the_result_are_described(self, tmp_path):
        one = row(0, 0, 1.0, text="4", missing=None, nested={"a": 1}, task_id=7, ng_timing={"total_s": 1})
        (entry,) = written(accumulate([{**one, "_ng_attempt_index": 1}]), tmp_path)
        assert set(entry["key_metrics"]) == {"mean/reward"}

    def test_numbers_too_large_for_a_float_are_left_out(self, tmp_path):
        huge = 10**400
        one = row(0, 0, 1.0, huge=huge, usage={"output_tokens": huge}, reward_components={"a": huge})
        (entry,) = written(accumulate([one]), tmp_path)
        assert set(entry["key_metrics"]) == {"mean/reward"}

    def test_parts_of_the_reward_are_described(self, tmp_path):
        rows = [row(0, place, 1.0, reward_components={"exact": place, "style": 0.5}) for place in (0, 1)]
        (entry,) = written(accumulate(rows), tmp_path)
        assert entry["key_metrics"]["mean/reward_components/exact"] == 0.5

    def test_agents_have_entries_of_their_own_in_order_of_name(self, tmp_path):
        rows = [row(0, 0, 1.0, agent="b"), row(1, 0, 0.0, agent="a"), row(2, 0, 1.0, agent="b")]
        entries = written(accumulate(rows), tmp_path)
        assert [entry["agent_ref"]["name"] for entry in entries] == ["a", "b"]
        assert [len(entry["group_level_metrics"]) for entry in entries] == [1, 2]

    def test_a_run_without_rows_is_an_empty_list(self, tmp_path):
        assert written(MetricsAccumulator(), tmp_path) == []

    def test_a_field_that_comes_late_counts_only_where_it_stands(self, tmp_path):
        rows = [row(0, 0, 1.0), row(0, 1, 1.0, late=4), row(0, 2, 1.0)]
        (entry,) = written(accumulate(rows), tmp_path)
        assert entry["agent_metrics"]["mean/late"] == 4.0
        assert "std/late" not in entry["agent_metrics"]
        assert "late" not in entry["group_level_metrics"][0]["rollout_infos"][0]

    def test_the_interval_is_clustered_by_task(self, tmp_path):
        rewards = [(0, 1.0), (0, 0.0), (1, 1.0), (1, 1.0), (2, 0.0), (2, 0.0)]
        rows = [row(task, place % 2, reward) for place, (task, reward) in enumerate(rewards)]
        (entry,) = written(accumulate(rows), tmp_path)
        # Wilson's interval of 1/2 among p (1 - p) / se^2 = 3 effective rollouts, with t of 2 degrees.
        weight = 4.30265**2 / 3
        half = math.sqrt(weight * (1 / 4 + weight / 4)) / (1 + weight)
        assert entry["agent_metrics"]["ci95_low/reward"] == pytest.approx(0.5 - half, rel=1e-4)
        assert entry["agent_metrics"]["ci95_high/reward"] == pytest.approx(0.5 + half, rel=1e-4)

    def test_one_task_has_no_interval(self, tmp_path):
        (entry,) = written(accumulate([row(0, 0, 1.0), row(0, 1, 0.0)]), tmp_path)
        assert "ci95_low/reward" not in entry["agent_metrics"]

    def test_text_outside_ascii_is_kept(self, tmp_path):
        (entry,) = written(accumulate([row(0, 0, 1.0, agent="agënt\n")]), tmp_path)
        assert entry["agent_ref"]["name"] == "agënt\n"


class TestCoverage:
    def test_a_task_whose_every_rollout_failed_is_visible(self, tmp_path):
        metrics = accumulate([row(1, 0, 1.0), row(3, 0, 1.0), row(3, 1, 0.0)])
        for task in (3, 0, 1, 4):
            for rollout in (0, 1):
                metrics.plan(json.dumps(row(task, rollout, None)).encode())
        metrics.expect(8, {"model_timeout": 4, "judge_failed": 1})
        (entry,) = written(metrics, tmp_path)
        counts = [
            (group["_ng_task_index"], group["num_rollouts"], group["missing_num_rollouts"])
            for group in entry["group_level_metrics"]
        ]
        assert counts == [(0, 0, 2), (1, 1, 1), (3, 2, 0), (4, 0, 2)]
        empty = entry["group_level_metrics"][0]
        assert empty["reward_profile_completion_pct"] == 0.0
        assert empty["rollout_infos"] == []
        assert "mean/reward" not in empty
        coverage = {
            key: value for key, value in entry["agent_metrics"].items() if key.startswith("coverage/")
        }
        assert coverage == {
            "coverage/requested": 8,
            "coverage/scored": 3,
            "coverage/missing": 5,
            "coverage/scored_pct": 37.5,
            "coverage/failed": 5,
            "coverage/pending": 0,
            "coverage/failed/judge_failed": 1,
            "coverage/failed/model_timeout": 4,
        }

    def test_an_agent_that_scored_nothing_is_visible(self, tmp_path):
        metrics = accumulate([row(0, 0, 1.0, agent="a")])
        metrics.plan(row(0, 0, None, agent="a"))
        metrics.plan(row(1, 0, None, agent="b"))
        _, entry = written(metrics, tmp_path)
        assert entry["agent_ref"] == {"name": "b"}
        assert entry["agent_metrics"]["coverage/requested"] == 1
        assert entry["agent_metrics"]["coverage/scored"] == 0
        assert entry["key_metrics"] == {}

    def test_failures_never_count_as_reward(self):
        metrics = accumulate([row(0, 0, 1.0), row(1, 0, 0.0, _ng_failure_class="judge_failed")])
        metrics.expect(4, {"judge_failed": 1})
        assert metrics.summary() == RunSummary(
            requested=4,
            scored=1,
            failed={"judge_failed": 1},
            pending=2,
            tasks=1,
            mean_reward=1.0,
            ci95=None,
            pass_at={1: 100.0},
            best_at={1: 1.0},
            tasks_at={1: 1},
        )

    def test_without_expectations_what_is_there_was_asked_for(self):
        summary = accumulate([row(0, 0, 1.0)]).summary()
        assert (summary.requested, summary.scored, summary.pending) == (1, 1, 0)

    def test_an_empty_run_has_no_mean(self):
        metrics = MetricsAccumulator()
        metrics.expect(3, {})
        summary = metrics.summary()
        assert (summary.requested, summary.pending, summary.mean_reward, summary.ci95) == (3, 3, None, None)
        assert summary.pass_at == {}

    def test_a_row_without_a_reward_is_scored_nowhere(self, tmp_path):
        metrics = accumulate([row(0, 0, None), row(0, 1, 1.0)])
        assert metrics.summary().mean_reward == 1.0
        (entry,) = written(metrics, tmp_path)
        assert entry["agent_metrics"]["pass@1/accuracy"] == 100.0
        assert "pass@2/accuracy" not in entry["agent_metrics"]


class TestSummary:
    def test_tokens_are_added_up(self):
        summary = accumulate([row(0, 0, 1.0, usage=usage(2)), row(1, 0, 1.0, usage=usage(5))]).summary()
        assert (summary.input_tokens, summary.output_tokens) == (6, 7)

    def test_unknown_usage_makes_the_sum_unknown(self):
        summary = accumulate([row(0, 0, 1.0, usage=usage(2)), row(1, 0, 1.0)]).summary()
        assert (summary.input_tokens, summary.output_tokens) == (None, None)

    def test_pass_at_doubles_up_to_all_repeats(self):
        summary = accumulate([row(0, place, float(place == 5)) for place in range(6)]).summary()
        assert list(summary.pass_at) == [1, 2, 4, 6]
        assert summary.pass_at == pytest.approx({1: 100 / 6, 2: 100 / 3, 4: 200 / 3, 6: 100.0})

    def test_tasks_are_counted_over_all_agents(self):
        summary = accumulate([row(0, 0, 1.0, agent="a"), row(1, 0, 0.0, agent="b")]).summary()
        assert (summary.tasks, summary.mean_reward) == (2, 0.5)
        assert summary.ci95[0] < 0.5 < summary.ci95[1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{oops", "rollouts row 1: not a JSON object"),
        (b"[]", "rollouts row 1: not a JSON object"),
        (b"{}", "rollouts row 1: _ng_task_index: a whole number is missing"),
        (b'{"_ng_task_index": 0}', "rollouts row 1: _ng_rollout_index: a whole"),
        (b'{"_ng_task_index": "a"}', "rollouts row 1: _ng_task_index: a whole"),
        (b'{"_ng_task_index": 99999999999999999999}', "rollouts row 1: _ng_task_index: 9"),
        (b'{"agent_ref": 3}', "rollouts row 1: agent_ref"),
    ],
)
def test_a_bad_row_is_named(line, message):
    with pytest.raises(UsageError) as error:
        MetricsAccumulator().add(line)
    assert str(error.value).startswith(message)


def test_a_number_whose_square_would_overflow_is_no_column(tmp_path):
    metrics = MetricsAccumulator()
    for rollout in range(2):
        metrics.add(
            {"_ng_task_index": 0, "_ng_rollout_index": rollout, "reward": 1.0, "odd": 1e308, "fine": 1e149}
        )
    metrics.write(tmp_path / "metrics.json")
    (agent,) = json.loads((tmp_path / "metrics.json").read_text())
    assert agent["agent_metrics"]["mean/fine"] == 1e149
    assert "mean/odd" not in agent["agent_metrics"]


def test_a_row_is_the_same_as_bytes_and_as_an_object(tmp_path):
    rows = [row(0, 0, 1.0, usage=usage(2)), row(1, 0, 0, flag=True)]
    objects = MetricsAccumulator()
    for one in rows:
        objects.add(one)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert written(objects, tmp_path / "a") == written(accumulate(rows), tmp_path / "b")


scored = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(0, 3)),
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0]),
        st.none() | st.sampled_from(["a", "b", 3, [1], "é"]),
        st.sampled_from(["x", "y"]),
        st.none() | st.integers(0, 50),
    ),
    max_size=14,
)


@settings(max_examples=50)
@given(scored, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(tmp_path_factory, results, shuffle: random.Random):
    rows = [
        row(*key, reward, agent=agent, answer=answer, usage=None if wrote is None else usage(wrote))
        for key, (reward, answer, agent, wrote) in results.items()
    ]
    texts = []
    for _ in range(2):
        metrics = accumulate(rows, answer_key="answer")
        path = tmp_path_factory.getbasetemp() / "order.json"
        metrics.write(path)
        texts.append((path.read_bytes(), metrics.summary()))
        shuffle.shuffle(rows)
    assert texts[0] == texts[1]


@settings(max_examples=50)
@given(scored)
def test_streamed_metrics_agree_with_plain_reference_code(tmp_path_factory, results):
    rows = [row(*key, reward, answer=answer) for key, (reward, answer, _, _) in sorted(results.items())]
    path = tmp_path_factory.getbasetemp() / "reference.json"
    accumulate(rows, answer_key="answer").write(path)
    if not rows:
        assert json.loads(path.read_bytes()) == []
        return
    (entry,) = json.loads(path.read_bytes())
    metrics = entry["agent_metrics"]
    tasks = [[one for one in rows if one["_ng_task_index"] == task] for task in range(5)]
    tasks = [task for task in tasks if task]
    reference, *_ = compute_pass_majority_metrics(tasks, answer_key="answer")
    curves = {name: value for name, value in metrics.items() if "@" in name}
    assert curves == pytest.approx({name: value for name, value in reference.items() if "@" in name})
    assert metrics["per_sample_aggregate"] == reference["per_sample_aggregate"]
    rewards = [one["reward"] for one in rows]
    assert metrics["mean/reward"] == pytest.approx(statistics.fmean(rewards))
    assert metrics["median/reward"] == statistics.median(rewards)
    assert metrics["std/reward"] == pytest.approx(statistics.stdev(rewards) if len(rows) > 1 else 0.0)
    for task, group in zip(tasks, entry["group_level_metrics"], strict=True):
        assert group["num_rollouts"] == len(task)
        assert group["mean/reward"] == pytest.approx(statistics.fmean(one["reward"] for one in task))
        order = [info["_ng_rollout_index"] for info in group["rollout_infos"]]
        assert order == sorted(order)
