from nemo_gym.library.knowledge.simpleqa.environment import SimpleQA
from tests.library.judged import example_rows, failures_of_check, oracle_rows, rows_of, wrong_redteam_lines


def judge(blocks: dict[str, str]) -> str:
    return "A" if blocks["ANSWER"] == blocks["REFERENCE"] else "C" if "know" in blocks["ANSWER"] else "B"


def test_it_keeps_every_promise_of_an_environment():
    assert failures_of_check(SimpleQA) == []


def test_known_hacks_earn_what_they_should():
    assert wrong_redteam_lines(SimpleQA()) == []


def test_the_oracle_earns_the_full_reward():
    rows = oracle_rows(SimpleQA(), judge)
    assert [row["reward"] for row in rows] == [1.0] * 200


def test_no_answer_earns_nothing():
    tasks = example_rows(SimpleQA(), 20)
    assert {row["reward"] for row in rows_of(SimpleQA(), tasks, ["I don't know."] * 20, judge)} == {0.0}
    assert {row["reward"] for row in rows_of(SimpleQA(), tasks, [""] * 20, judge)} == {0.0}


def test_a_judge_without_a_clear_verdict_gives_no_reward():
    (row,) = rows_of(
        SimpleQA(), example_rows(SimpleQA(), 1), ["An answer of five words."], lambda _: "Who can say?"
    )
    assert (row["_ng_failure_class"], "reward" in row) == ("judge_failed", False)
