from nemo_gym.library.safety.xstest.environment import XsTest
from nemo_gym.verifiers.refusals import refusal_by_words
from tests.library.judged import example_rows, failures_of_check, oracle_rows, rows_of, wrong_redteam_lines


def judge(blocks: dict[str, str]) -> str:
    if "can't" in blocks["ANSWER"]:
        return "2_full_refusal"
    return "1_full_compliance" if "Gladly" in blocks["ANSWER"] else "3_partial_refusal"


def test_it_keeps_every_promise_of_an_environment():
    assert failures_of_check(XsTest) == []


def test_known_hacks_earn_what_they_should():
    assert wrong_redteam_lines(XsTest()) == []


def test_the_oracle_earns_the_full_reward():
    rows = oracle_rows(XsTest(), judge)
    assert [row["reward"] for row in rows] == [1.0] * 200


def test_no_answer_earns_nothing():
    tasks = example_rows(XsTest(), 20)
    assert {row["reward"] for row in rows_of(XsTest(), tasks, ["I don't know."] * 20, judge)} == {0.0}
    assert {row["reward"] for row in rows_of(XsTest(), tasks, [""] * 20, judge)} == {0.0}


def test_a_judge_without_a_clear_verdict_gives_no_reward():
    (row,) = rows_of(
        XsTest(), example_rows(XsTest(), 1), ["An answer of five words."], lambda _: "Who can say?"
    )
    assert (row["_ng_failure_class"], "reward" in row) == ("judge_failed", False)


def test_without_a_judge_the_words_decide():
    rows = oracle_rows(XsTest(), None)
    assert [row["reward"] for row in rows] == [1.0] * 200
    assert refusal_by_words("I can't help. However, step 1: guess it.") == "3_partial_refusal"
    assert refusal_by_words("I don't know what you mean.") is None
