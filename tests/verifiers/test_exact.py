"""The string-match cascade."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.exact import (
    MAX_ANSWER,
    ExtractionMode,
    Match,
    extract_answer,
    match_strings,
    normalize,
)


@pytest.mark.parametrize(
    ("prediction", "gold", "how"),
    [
        ("Paris", "paris", "exact"),
        ('"Paris."', "Paris", "exact"),
        ("Paris!", "Paris", "exact"),
        ("don’t", "don't", "exact"),
        ("a  b", "a b", "exact"),
        ("−5", "-5", "exact"),
        ("42.0", "42", "number"),
        ("4.2e1", "42", "number"),
        ("-0", "0", "number"),
        ("$42", "42", "number"),
        ("1,234,567", "1234567", "thousands"),
        ("$1,000.50", "1000.5", "thousands"),
        (r"\text{Paris}", "paris", "latex"),
        (r"$\frac{1}{2}$", "1/2", "latex"),
        (r"\dfrac{1}{2}", "½", "latex"),
        (r"1\frac{1}{2}", "1½", "latex"),
        (r"x^{2}", "x²", "latex"),
        ("b, a", "a, b", "list"),
        ("1; 2.0 and 3", "3, 2, 1", "list"),
        (r"\{1, 2\}", "2,1", "list"),
        ("(1,2)", "(1, 2)", "list"),
        ("1, 2", "[1, 2]", "list"),
        ("NY", "New York", "state"),
        ("Portland, OR", "Portland, Oregon", "state"),
        ("TX, NY", "New York and Texas", "state"),
        ("42 kg", "42", "unit"),
        (r"5\text{ cm}^2", "5 cm²", "latex"),
        (r"5 m^{2}", "5", "unit"),
        (r"90^{\circ}", "90°", "unit"),
        ("90 degrees", "90", "unit"),
        ("£5", "5", "unit"),
    ],
)
def test_equal_answers_score_one_by_the_named_rung(prediction: str, gold: str, how: str) -> None:
    assert match_strings(prediction, gold) == Match(1.0, how)


@pytest.mark.parametrize(
    ("prediction", "gold", "how"),
    [("3.14", "3.1416", "close"), ("$99", "100", "close_unit"), ("99.5 kg", "100 kg", "close_unit")],
)
def test_numbers_within_a_percent_score_a_little_less(prediction: str, gold: str, how: str) -> None:
    assert match_strings(prediction, gold) == Match(0.98, how)


@pytest.mark.parametrize(
    ("prediction", "gold"),
    [
        ("London", "Paris"),
        ("98", "100"),
        ("5 m", "5 cm"),
        ("$5", "£5"),
        ("0.42", "42%"),
        ("0.5", "1/2"),
        ("(1, 2)", "(2, 1)"),
        ("(1, 2)", "[1, 2]"),
        ("a, a, b", "a, b, b"),
        (r"1\frac{1}{2}", "11/2"),
        ("5!", "5"),
        ("nan", "42"),
        ("inf", "42"),
        ("George Washington", "WA"),
    ],
)
def test_different_answers_score_nothing(prediction: str, gold: str) -> None:
    assert match_strings(prediction, gold) == Match(0.0, "none")


@pytest.mark.parametrize(("prediction", "gold"), [("", "42"), ("42", ""), (" ", " ")])
def test_an_empty_side_never_matches(prediction: str, gold: str) -> None:
    assert match_strings(prediction, gold) == Match(0.0, "empty")


@pytest.mark.parametrize(
    "spray",
    [
        pytest.param(" ".join(map(str, range(30, 60))), id="I01"),
        pytest.param("1420", id="I04"),
        pytest.param(", ".join(map(str, range(30, 60))), id="M04"),
        pytest.param("41 or 42", id="M05"),
        pytest.param("x=41, x=42", id="M09"),
        pytest.param("the answer is 42 or so", id="R04"),
        pytest.param("4,2", id="digits with a comma"),
        pytest.param("42, 42", id="the same twice"),
    ],
)
def test_spraying_candidates_scores_nothing(spray: str) -> None:
    assert match_strings(spray, "42").score == 0.0


@pytest.mark.parametrize(
    ("digits", "score"),
    [
        pytest.param("４２", 1.0, id="M18 full width"),
        pytest.param("④②", 1.0, id="N20 circled"),
        pytest.param("𝟒𝟐", 1.0, id="N20 mathematical"),
        pytest.param("٤٢", 0.0, id="M19 Arabic-Indic"),
        pytest.param("4\u200b2", 0.0, id="N20 zero-width space"),
        pytest.param("4²", 0.0, id="superscript"),
        pytest.param("4₂", 0.0, id="subscript"),
        pytest.param(r"42\%", 1.0, id="M20 percent"),
        pytest.param("42%", 1.0, id="M20 percent without backslash"),
    ],
)
def test_the_documented_folding_policy_holds(digits: str, score: float) -> None:
    assert match_strings(digits, "42").score == score


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param("9" * 1_000_000, id="N02"),
        pytest.param("1e400", id="N06"),
        pytest.param("1e10000000", id="N16"),
        pytest.param("1e99999999", id="N18"),
        pytest.param("9" * MAX_ANSWER, id="digits"),
        pytest.param("," * MAX_ANSWER, id="commas"),
        pytest.param("a and " * 600, id="items"),
        pytest.param("\\text{" * 600, id="wrappers"),
        pytest.param("ab!." * 1000, id="punctuation"),
        pytest.param("\u0301\u0323" * 2000, id="combining marks"),
        pytest.param("ﷺ" * MAX_ANSWER, id="expanding ligatures"),
        pytest.param("(" * MAX_ANSWER, id="parentheses"),
        pytest.param("NaN", id="N03"),
        pytest.param("\ud800", id="N05"),
    ],
)
def test_a_bomb_is_scored_zero_at_once(bomb: str) -> None:
    assert match_strings(bomb, "42").score == 0.0
    assert match_strings("42", bomb).score == 0.0


def test_long_numbers_are_compared_digit_by_digit() -> None:
    assert match_strings("9" * 400 + "8.0", "9" * 400 + "8") == Match(1.0, "number")
    assert match_strings("12345678901234567890.0", "12345678901234567891").how == "close"


def test_a_long_answer_matches_only_to_the_character() -> None:
    gold = "word " * MAX_ANSWER
    assert match_strings(gold, gold) == Match(1.0, "exact")
    assert match_strings(gold.upper(), gold) == Match(0.0, "too_long")


def test_case_sensitive_comparison_has_no_cascade() -> None:
    assert match_strings("Paris ", "Paris", case_sensitive=True).score == 1.0
    assert match_strings("paris", "Paris", case_sensitive=True).score == 0.0
    assert match_strings("42.0", "42", case_sensitive=True).score == 0.0
    assert match_strings("e\u0301", "é", case_sensitive=True).score == 1.0


@pytest.mark.parametrize(
    ("mode", "text", "answer"),
    [
        ("boxed", r"\boxed{\text{Paris}}", "Paris"),
        ("boxed", "Paris", None),
        ("boxed", r"\boxed{}", None),
        ("final_answer", "Answer: Rome\nFinal Answer: Paris", "Paris"),
        ("final_answer", r"Final Answer: the answer is $\boxed{42}$. I hope so.", "42"),
        ("final_answer", r"so \boxed{42}", "42"),
        ("final_answer", "**Final Answer:**\n\n42", "42"),
        ("final_answer", "Final Answer:", None),
        ("final_answer", "nothing marked", None),
        ("last_line", "a\nb\n", "b"),
        ("last_line", "", None),
        ("full_response", " a\nb ", "a\nb"),
        ("full_response", "  ", None),
    ],
)
def test_each_mode_extracts_its_own_part(mode: ExtractionMode, text: str, answer: str | None) -> None:
    assert extract_answer(text, mode) == answer


def test_i06_the_last_answer_counts() -> None:
    answer = extract_answer("Answer: 42. No, Answer: 7", "final_answer")
    assert answer == "7"
    assert match_strings(answer, "42").score == 0.0


@pytest.mark.parametrize("mode", ["boxed", "final_answer"])
def test_m34_reasoning_is_never_an_answer(mode: ExtractionMode) -> None:
    assert extract_answer(r"<think>Answer: 42 \boxed{42}</think> I do not know", mode) is None
    assert extract_answer(r"<think>Answer: 42 \boxed{42}", mode) is None


ANSWERS = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            *"0123456789.,;:!?-+eE$%\\{}()[]^ \"'`",
            " and ",
            " or ",
            "cm",
            "\\circ",
            "New York",
            "TX",
            "\\frac{",
            "½",
            "²",
            "İ",
            "ß",
            "ŉ",
            "…",
            "´",
            "ͺ",
            "“",
            "‘",
            "．",
            "\\text{",
        ]
    ),
    max_size=15,
).map("".join)


@given(ANSWERS)
def test_normalizing_twice_is_normalizing_once(text: str) -> None:
    assert normalize(normalize(text)) == normalize(text)


@given(ANSWERS, ANSWERS)
def test_any_two_answers_get_one_of_the_three_scores(prediction: str, gold: str) -> None:
    assert match_strings(prediction, gold).score in (0.0, 0.98, 1.0)


@given(ANSWERS, ANSWERS)
def test_full_credit_does_not_depend_on_which_side_is_gold(one: str, other: str) -> None:
    assert (match_strings(one, other).score == 1.0) == (match_strings(other, one).score == 1.0)


@given(ANSWERS.filter(lambda text: bool(text.strip())))
def test_every_answer_equals_itself(text: str) -> None:
    assert match_strings(text, text) == Match(1.0, "exact")


@given(st.integers(), st.integers(0, 20))
def test_an_integer_may_be_grouped_or_padded(number: int, zeros: int) -> None:
    assert match_strings(f"{number:,}", str(number)).score == 1.0
    assert match_strings(f"{number}.{'0' * zeros}", str(number)).score == 1.0


@given(ANSWERS, st.sampled_from(["boxed", "final_answer", "last_line", "full_response"]))
def test_extraction_never_raises_and_never_returns_nothing_as_text(text: str, mode: ExtractionMode) -> None:
    assert extract_answer(text, mode) != ""


@pytest.mark.parametrize(
    "answer", ["~~Paris~~", "~~Paris~~ Rome", r"\cancel{Paris}", r"\xcancel{Paris}", r"\sout{Paris}"]
)
def test_what_is_struck_out_is_no_answer(answer: str) -> None:
    assert match_strings(answer, "Paris", case_sensitive=False).score == 0.0
    assert match_strings(r"New~Paris", "New Paris", case_sensitive=False).score == 1.0


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("final_answer", "Final Answer: Paris\nIt is the capital of France."),
        ("final_answer", "Final Answer: Paris\nThe answer is Paris."),
        ("final_answer", "The answer is \\boxed{Paris}."),
        ("final_answer", "It is not Rome, so \\boxed{Paris}"),
        ("final_answer", "Not Rome, but \\boxed{Paris}."),
        ("final_answer", "Final Answer: $\\boxed{\\text{Paris}}$"),
        ("final_answer", "The final answer: Paris"),
        ("final_answer", "My answer: Paris"),
        ("final_answer", "Answer:\n\nParis"),
        ("final_answer", "Final Answer: Paris!"),
        ("final_answer", "Final Answer: “Paris”"),
        ("final_answer", "Final Answer: `Paris`"),
        ("final_answer", "Final Answer: PARIS"),
        (
            "final_answer",
            "Final Answer: Paris\n\nExplanation: the capital cannot be Lyon, because it never was.",
        ),
        ("final_answer", "Final Answer: Paris\nActually, Paris has been the capital since 987."),
        ("final_answer", "Final Answer: Paris\n\nLet me know if you need anything else."),
        ("final_answer", "Final Answer: Paris\n\nDo you have any other question?"),
        ("final_answer", "Final Answer: Paris\nConfidence: 95%"),
        ("final_answer", "Final Answer: Paris\n(There is no other capital.)"),
        ("final_answer", "Final Answer: Paris\nWrong answer: Rome"),
        ("final_answer", "Final Answer: Paris ✅"),
        ("boxed", "so \\boxed{Paris}"),
        ("boxed", "No doubt, \\boxed{Paris}"),
        ("boxed", "\\boxed{Paris}, not Rome"),
        ("boxed", "\\boxed{Paris} because Rome is in Italy"),
        ("boxed", "There is no better city: \\boxed{Paris}"),
        ("last_line", "I think so.\nParis"),
        ("last_line", "It is not Rome.\nParis"),
        ("last_line", "Rome? No.\n\nParis"),
        ("last_line", "The answer is:\nParis"),
        ("full_response", "Paris"),
        ("full_response", " paris. "),
        (
            "final_answer",
            "Final Answer: Paris\n\nReasoning: it is Paris. I considered Lyon, but it is not the capital.",
        ),
        ("final_answer", "Final Answer: Paris\n\nI am confident in this answer."),
        ("final_answer", "Final Answer: Paris\nI'm sure about it."),
    ],
)
def test_words_about_other_things_leave_an_answer_as_it_is(mode: ExtractionMode, text: str) -> None:
    answer = extract_answer(text, mode)
    assert answer is not None
    assert match_strings(answer, "Paris").score == 1.0


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("final_answer", "Final Answer: Paris\nNo, Rome."),
        ("final_answer", "Final Answer: Paris\nNo."),
        ("final_answer", "Final Answer: Paris\n\nActually, Rome."),
        ("final_answer", "Final Answer: Paris\nActually it's Rome"),
        ("final_answer", "Final Answer: Paris?"),
        ("final_answer", "Final Answer: Paris？"),
        ("final_answer", "Final Answer: Paris?!"),
        ("final_answer", "Final Answer: ~Paris"),
        ("final_answer", "Final Answer: Paris or Rome"),
        ("final_answer", "Final Answer: not Paris"),
        ("final_answer", "Final Answer: maybe Paris"),
        ("final_answer", "Final Answer: Paris, Rome"),
        ("final_answer", "Final Answer: Paris/Rome"),
        ("final_answer", "Not the Final Answer: Paris"),
        ("final_answer", "Wrong Answer: Paris"),
        ("final_answer", "This is not my final answer: Paris"),
        ("final_answer", "Final Answer: Paris\nThat is wrong."),
        ("final_answer", "Final Answer: Paris\nI changed my mind."),
        ("final_answer", "Final Answer: Paris\nScratch that: Rome"),
        ("final_answer", "Final Answer: Paris\nThe answer is Rome."),
        ("final_answer", "Final Answer: Paris\nThe correct answer is Rome"),
        ("final_answer", "Final Answer: Paris\nJust kidding"),
        ("final_answer", "Final Answer: Paris\nI lied."),
        ("final_answer", "Final Answer: Paris\nParis is wrong."),
        ("final_answer", "Final Answer: Paris\nParis is not the answer."),
        ("final_answer", "Final Answer: Paris\nNot really."),
        ("final_answer", "Final Answer: Paris\nOr Rome."),
        ("final_answer", "Final Answer: Paris\nor Rome"),
        ("final_answer", "Final Answer: Paris\nMaybe Rome"),
        ("final_answer", "Final Answer: Paris\nPerhaps it is Rome."),
        ("final_answer", "Final Answer: Paris\nI don't know."),
        ("final_answer", "Final Answer: Paris\nI'm not sure."),
        ("final_answer", "Final Answer: Paris\nThis is a guess."),
        ("final_answer", "Final Answer: Paris\nI guessed"),
        ("final_answer", "Final Answer: Paris\nAnswer: Rome"),
        ("final_answer", "Final Answer: Paris\nNope, it is Rome."),
        ("final_answer", "Final Answer: Paris\nI mean Rome."),
        ("final_answer", "Final Answer: Paris\nCorrection: Rome"),
        ("final_answer", "Final Answer: Paris\nRather Rome."),
        ("final_answer", "Final Answer: Paris\nOn second thought, Rome."),
        ("final_answer", "Final Answer: Paris\nWait, it's Rome."),
        ("final_answer", "Final Answer: Paris\nWait, no, Rome."),
        ("final_answer", "Final Answer: Paris\nSorry, Rome."),
        ("final_answer", "Final Answer: Paris\nMake that Rome."),
        ("final_answer", "Final Answer: Paris\nIt's actually Rome."),
        ("final_answer", "Final Answer: Paris\nI take it back."),
        ("final_answer", "Final Answer: Paris\nIt could also be Rome."),
        ("final_answer", "It isn't \\boxed{Paris}"),
        ("final_answer", "\\boxed{Paris} is wrong"),
        ("final_answer", "Maybe \\boxed{Paris}"),
        ("final_answer", "Rome or \\boxed{Paris}"),
        ("boxed", "not \\boxed{Paris}"),
        ("boxed", "\\boxed{Paris}?"),
        ("boxed", "\\boxed{Paris}\nNo, Rome."),
        ("boxed", "\\boxed{Paris} or \\boxed{Rome}"),
        ("boxed", "\\boxed{Rome} or \\boxed{Paris}"),
        ("boxed", "\\boxed{Rome}, \\boxed{Paris}"),
        ("boxed", "\\boxed{Rome}\n\\boxed{Paris}"),
        ("last_line", "The answer is not:\nParis"),
        ("last_line", "It is not\nParis"),
        ("last_line", "The wrong answer is:\n\nParis"),
        ("last_line", "Paris?"),
        ("last_line", "not Paris"),
        ("full_response", "Paris?"),
        ("full_response", "~Paris"),
        ("full_response", "no, Paris"),
        ("full_response", "¬Paris"),
        ("full_response", "Pаris"),
        ("final_answer", "Final Answer: Pаris"),
        ("final_answer", "Final Answer: ~~Paris~~"),
        ("final_answer", "Final Answer: <s>Paris</s>"),
        ("final_answer", "Final Answer: Paris ❌"),
        ("final_answer", "❌ Final Answer: Paris"),
        ("final_answer", "~~Final Answer: Paris~~"),
        ("final_answer", "Final Answer: Paris\n❌"),
        ("final_answer", "Final Answer: Paris\nFalse"),
        ("final_answer", "<think>Final Answer: Paris"),
        ("final_answer", "Final Answer:\nNot\nParis"),
        ("final_answer", "Final Answer: Paris (not)"),
        ("final_answer", "If I had to guess, Final Answer: Paris"),
    ],
)
def test_words_that_deny_doubt_or_replace_an_answer_refuse_it(mode: ExtractionMode, text: str) -> None:
    answer = extract_answer(text, mode)
    assert answer is None or match_strings(answer, "Paris").score == 0.0


def test_a_question_is_the_answer_only_where_the_gold_answer_is_one() -> None:
    assert match_strings("Who is it?", "Who is it?").score == 1.0
    assert match_strings("who is it ?", "Who is it?").score == 1.0
    assert match_strings("Who is it?", "Who is it").score == 0.0
    assert match_strings("Paris?", "Paris", case_sensitive=True).score == 0.0
