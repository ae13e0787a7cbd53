from nemo_gym.library.rlhf.rubric.environment import Rubric, aggregate
from tests.library.judged import example_rows, failures_of_check, oracle_rows, rows_of, wrong_redteam_lines


def judge(blocks: dict[str, str]) -> str:
    point = blocks["POINT"].split('"')[1]
    is_met = (
        blocks["ANSWER"].endswith(point) if "last character" in blocks["POINT"] else point in blocks["ANSWER"]
    )
    return "YES" if is_met else "NO"


def test_it_keeps_every_promise_of_an_environment():
    assert failures_of_check(Rubric) == []


def test_known_hacks_earn_what_they_should():
    assert wrong_redteam_lines(Rubric()) == []


def test_the_oracle_earns_the_full_reward():
    rows = oracle_rows(Rubric(), judge)
    assert [row["reward"] for row in rows] == [1.0] * 200


def test_no_answer_earns_nothing():
    tasks = example_rows(Rubric(), 20)
    assert {row["reward"] for row in rows_of(Rubric(), tasks, ["I don't know"] * 20, judge)} == {0.0}
    assert {row["reward"] for row in rows_of(Rubric(), tasks, [""] * 20, judge)} == {0.0}


def test_a_judge_without_a_clear_verdict_gives_no_reward():
    (row,) = rows_of(
        Rubric(), example_rows(Rubric(), 1), ["An answer of five words."], lambda _: "Who can say?"
    )
    assert (row["_ng_failure_class"], "reward" in row) == ("judge_failed", False)


def test_the_points_are_put_together_as_the_settings_say():
    scores, weights = [1.0, 0.0], [3.0, 1.0]
    assert aggregate(scores, weights, "mean") == 0.5
    assert aggregate(scores, weights, "weighted") == 0.75
    assert (aggregate(scores, weights, "min"), aggregate(scores, weights, "all")) == (0.0, 0.0)
    assert (aggregate(scores, weights, "max"), aggregate(scores, weights, "any")) == (1.0, 1.0)
