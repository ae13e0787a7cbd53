"""Reading the choice out of a multiple-choice answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.choice import GradingMode, grade_choice

OPTIONS = {"A": "Paris", "B": "London", "C": "Hepatitis A", "D": "none of the above"}
PLAIN = {letter: f"opt{letter}" for letter in "ABCD"}
NUMBERS = {"A": "1", "B": "10", "C": "100"}
MODES: list[GradingMode] = [
    "strict_single_letter_boxed",
    "lenient_boxed",
    "lenient_answer_colon",
    "lenient_answer_colon_md",
]
BOXED, LENIENT, COLON, MARKDOWN = MODES


@pytest.mark.parametrize(
    ("box", "letter"),
    [
        ("C", "C"),
        (r"\text{C}", "C"),
        (r"\textbf{(C)}", "C"),
        ("$C$", "C"),
        (" C. ", "C"),
        ("C) Hepatitis A", "C"),
        ("C: Hepatitis A", "C"),
        ("A. Paris", "A"),
        ("A - Paris, since it is the capital", "A"),
        ("(A) 42", "A"),
        ("D) None of the above.", "D"),
        ("b", None),
        ("Paris", None),
        ("E", None),
        ("A B", None),
        ("A. B. C. D.", None),
        ("A: or maybe B", None),
        ("A) London", None),
        ("2A", None),
        ("A^2", None),
        ("≠ A", None),
        ("!A", None),
        ("A-level", None),
        ("", None),
    ],
)
def test_a_strict_box_holds_one_capital_or_begins_with_one(box: str, letter: str | None) -> None:
    assert grade_choice(rf"so \boxed{{{box}}}", OPTIONS, BOXED) == letter


@pytest.mark.parametrize(
    ("box", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("london", "B"),
        (r"\text{London}.", "B"),
        ("The answer is London", "B"),
        ("the correct option is: London.", "B"),
        ("Hepatitis A", "C"),
        ("None of the above", "D"),
        ("not London", None),
        ("London is wrong", None),
        ("London or Paris", None),
        ("Londoner", None),
        ("Berlin", None),
    ],
)
def test_a_lenient_box_may_hold_the_text_of_one_option(box: str, letter: str | None) -> None:
    assert grade_choice(rf"\boxed{{{box}}}", OPTIONS, LENIENT) == letter


@pytest.mark.parametrize(
    ("box", "letter"),
    [
        ("x = 100", "C"),
        ("-10", None),
        ("10.5", None),
        ("1/10", None),
        ("10%", None),
        ("1, 10", None),
        ("1", "A"),
    ],
)
def test_a_number_is_only_the_option_that_it_equals(box: str, letter: str | None) -> None:
    assert grade_choice(rf"\boxed{{{box}}}", NUMBERS, LENIENT) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: C", "C"),
        ("answer: c", "C"),
        ("ANSWER : (C).", "C"),
        ("Answer: london", "B"),
        ("Answer: B) London", "B"),
        (r"Answer: \boxed{B}", "B"),
        ("Final answer:\nB", "B"),
        ("Answer: e.g. London", None),
        ("Answer: B) Paris", None),
        ("Answer: not B", None),
        ("Answer: A or B", None),
        ("Answer: B, then Answer: the other one", None),
        ("B", None),
        ("", None),
    ],
)
def test_the_last_answer_marker_decides(text: str, letter: str | None) -> None:
    assert grade_choice(text, {**OPTIONS, "E": "Rome"}, COLON) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("**Answer:** C", "C"),
        ("**Answer: (C)**", "C"),
        ("**Final Answer**: **C**\n", "C"),
        ("Answer: C because it is so", "C"),
        ("Answer: the right one is C", "C"),
        ("**Answer:** C\n\nNote on the answer: see above", "C"),
        ("Answer: Paris", "A"),
        ("Answer: Ｃ", "C"),
        ("Answer: ج", "C"),
        ("Answer: ب) London", "B"),
        ("Answer: ড", "C"),
        ("Answer: গ", "C"),
        ("Answer: বা", None),
        ("Answer: A or B", None),
        ("Answer: A, B", None),
        ("Answer: not C", None),
        ("Answer: it isn't C", None),
        ("Answer: A\nAnswer: B or C", None),
        ("Answer: Z", None),
        ("", None),
    ],
)
def test_markdown_answers_name_a_single_option(text: str, letter: str | None) -> None:
    assert grade_choice(text, OPTIONS, MARKDOWN) == letter


@pytest.mark.parametrize(("digits", "letter"), [("١٠", "B"), ("১০", "B"), ("１００", "C")])
def test_markdown_mode_reads_foreign_digits(digits: str, letter: str) -> None:
    assert grade_choice(f"Answer: {digits}", NUMBERS, MARKDOWN) == letter
    assert grade_choice(f"Answer: {digits}", {"A": digits}, MARKDOWN) == "A"


ELEMENTS = {"A": "iron", "B": "helium", "C": "neon", "D": "oxygen"}
OVERLAPS = {"A": "iron", "B": "iron oxide", "C": "none of the above", "D": "Both A and B", "E": "None"}
LENIENT_MODES = [LENIENT, COLON, MARKDOWN]


def pick(answer: str, mode: GradingMode, options: dict[str, str] = ELEMENTS) -> str | None:
    boxed = mode in (BOXED, LENIENT)
    return grade_choice(f"\\boxed{{{answer}}}" if boxed else f"Answer: {answer}", options, mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "denial",
    [
        *("B is wrong", "not B", "B) is wrong", "B. is incorrect", "B: wrong", "B - false", "(B) is out"),
        *("B) can be ruled out", "B) eliminated", "B: excluded", "B) no", "B, no", "B? No", "B) nope"),
        *("anything but B", "all but B", "every option except B", "other than B", "neither B", "without B"),
        *("the answer is not B", "The answer isn't B", "I doubt B", "the opposite of B", "the worst is B"),
        *("B would be a mistake", "B is a trap", "B cannot be right", "B) has been rejected", "B fails"),
        *("B ✗", "❌ B", "¬B", "~B", "!B", r"\neg B", r"\lnot B", r"\overline{B}", r"\cancel{B}", "non-B"),
        *(r"\text{not }B", r"B\text{ is wrong}", r"B\quad\text{is wrong}", "helium is wrong", "not helium"),
        *("B) not helium", "B) helium is wrong", "B. Helium is incorrect", "B helium, no", "B is unlikely"),
    ],
)
def test_q10_an_answer_that_denies_what_it_names_is_no_answer(mode: GradingMode, denial: str) -> None:
    assert pick(denial, mode) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "answer",
    [
        *(
            "B iron",
            "B) iron",
            "B. iron",
            "B: iron",
            "B - iron",
            "B – iron",
            "B (iron)",
            "iron (B)",
            "iron B",
        ),
        *("B, iron", "option B: neon", "neon, that is B", "B) helium or iron", "helium or iron", "B or C"),
        *("A or B", "B and C", "B/C", "A, B, C, D", "either B or C", "B=iron", r"B: \text{iron}", "B) IRON."),
        *(r"B\quad iron", "B. oxygen", "oxygen (B)", "B or maybe neon", "B) but really iron"),
    ],
)
def test_a_letter_and_a_text_that_disagree_are_no_answer(mode: GradingMode, answer: str) -> None:
    assert pick(answer, mode) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "answer",
    [
        *("B", "(B)", "B.", "[B]", "$B$", "**B**", r"\textbf{B}", "B) helium", "B. helium", "B: Helium."),
        *("B - helium", "B – helium", r"B) \text{helium}", r"\text{(B) helium}", r"B.\ helium", "B)~helium"),
        *("B) because it is inert", "B) helium, since it does not react", "B) helium (He)"),
    ],
)
def test_every_mode_reads_a_letter_with_its_own_text(mode: GradingMode, answer: str) -> None:
    assert pick(answer, mode) == "B"


@pytest.mark.parametrize("mode", LENIENT_MODES)
@pytest.mark.parametrize(
    "answer",
    [
        *("The answer is B", "the correct answer is (B).", "Option B", "option b", "the answer is b", "b)"),
        *("I choose B", "I think B", "I'd go with B", "B is the correct answer", "B helium", "B (helium)"),
        *(
            "helium (B)",
            "helium",
            "It is helium",
            r"\text{The answer is B}",
            r"\text{Option }B",
            "B = helium",
        ),
        *(r"B\quad\text{helium}", "option B, helium", "The correct choice is B) helium", "letter B"),
        *("The answer is B because it's inert", "B, since balloons need it"),
    ],
)
def test_words_that_add_nothing_may_stand_around_the_answer(mode: GradingMode, answer: str) -> None:
    assert pick(answer, mode) == "B"


@pytest.mark.parametrize("mode", LENIENT_MODES)
@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("iron oxide", "B"),
        ("B) iron oxide", "B"),
        ("A) iron", "A"),
        ("A) iron oxide", None),
        ("none of the above", "C"),
        ("C. None of the above.", "C"),
        ("the answer is none of the above", "C"),
        ("B) none of the above", None),
        ("Both A and B", "D"),
        ("D) Both A and B", "D"),
        ("A and B", None),
        ("E) None", "E"),
    ],
)
def test_texts_that_contain_one_another_or_a_negation(
    mode: GradingMode, answer: str, letter: str | None
) -> None:
    assert pick(answer, mode, OVERLAPS) == letter


@pytest.mark.parametrize("mode", LENIENT_MODES)
@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("False", "B"),
        ("B) False", "B"),
        ("the answer is false", "B"),
        ("A) False", None),
        ("not False", None),
        ("true", "A"),
        ("It is true", "A"),
        ("The true answer is B", "B"),
    ],
)
def test_options_that_are_true_and_false(mode: GradingMode, answer: str, letter: str | None) -> None:
    assert pick(answer, mode, {"A": "True", "B": "False"}) == letter


@pytest.mark.parametrize("mode", [BOXED, LENIENT])
@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"\boxed{A} \boxed{B}", None),
        (r"\boxed{A}, \boxed{B}", None),
        ("\\boxed{A}\n\n\\boxed{B}", None),
        (r"\boxed{A} or \boxed{B}", None),
        (r"\boxed{B} \boxed{B}", "B"),
        (r"\boxed{A \boxed{B}}", None),
        (r"\boxed{\boxed{B} is wrong}", None),
        (r"\boxed{\boxed{B}}", "B"),
        (r"\boxed{B} and \boxed{", None),
        (r"First \boxed{A}. Then again, no: \boxed{B}", "B"),
    ],
)
def test_several_boxes(mode: GradingMode, text: str, letter: str | None) -> None:
    assert grade_choice(text, ELEMENTS, mode) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("choice: B", "B"),
        ("choice: B\n\nA is wrong.", "B"),
        ("choice: B\nNo, A.", None),
        ("wrong choice: B", None),
        ("é字 choice: B, maybe", None),
    ],
)
def test_words_around_what_a_pattern_matches_count_too(text: str, letter: str | None) -> None:
    assert grade_choice(text, ELEMENTS, BOXED, r"choice: ([A-Z])") == letter


@pytest.mark.parametrize("mode", LENIENT_MODES)
@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        *[("B, because the others are wrong", "B"), ("B since A is not a gas", "B"), ("B, not A", "B")],
        *[("<B>", "B"), ("B!", "B"), ("B, not really", None), ("B, because it is wrong", None)],
        *[("B?", None), ("helium?", None), ("maybe B", None), ("B maybe", None), ("probably B", None)],
    ],
)
def test_reasons_and_contrasts_may_follow_and_doubts_may_not(
    mode: GradingMode, answer: str, letter: str | None
) -> None:
    assert pick(answer, mode) == letter


def test_a_last_marker_that_only_denies_takes_the_answer_back() -> None:
    assert grade_choice("Answer: B\nThe answer: that is wrong", ELEMENTS, MARKDOWN) is None


def test_q02_a_box_of_all_letters_is_no_answer() -> None:
    assert grade_choice(r"\boxed{A, B, C, D}", PLAIN, BOXED) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("letter", ["С", "Ϲ", "Ⅽ", "ⅽ", "ℂ"])
def test_q05_look_alike_letters_are_other_letters(mode: GradingMode, letter: str) -> None:
    assert grade_choice(rf"Answer: {letter} \boxed{{{letter}}}", PLAIN, mode) is None


@pytest.mark.parametrize(("letter", "key"), [("ı", "I"), ("ſ", "S"), ("\u212a", "K")])
def test_letters_that_only_become_an_option_by_case_are_other_letters(letter: str, key: str) -> None:
    assert grade_choice(rf"\boxed{{{letter}}}", {key: "text"}, LENIENT) is None


def test_q08_a_negated_option_text_is_no_answer() -> None:
    assert grade_choice(r"\boxed{not optC}", PLAIN, LENIENT) is None


def test_q09_the_option_that_equals_the_number_wins_over_its_parts() -> None:
    assert grade_choice(r"\boxed{100}", NUMBERS, LENIENT) == "C"


def test_a_letter_with_the_number_of_another_option_is_no_answer() -> None:
    assert grade_choice(r"\boxed{A: 1}", NUMBERS, BOXED) == "A"
    assert grade_choice(r"\boxed{B: 1}", NUMBERS, BOXED) is None


def test_a_letter_that_is_also_the_text_of_another_option_is_a_letter() -> None:
    assert grade_choice(r"\boxed{C}", {"A": "C", "C": "N"}, LENIENT) == "C"


def test_q11_the_last_answer_wins_over_the_first() -> None:
    assert grade_choice("Answer: C … no … Answer: A", PLAIN, COLON) == "A"


def test_q18_a_pattern_can_not_make_an_option_of_another_letter() -> None:
    assert grade_choice("Answer: Z", PLAIN, BOXED, r"Answer:\s*([A-Z])") is None


@pytest.mark.parametrize("pattern", [r"((?:a+)+)$", r"((?:а|аа)+)$", "а*а*а*а*а*б"])
def test_q09_q19_a_pattern_that_takes_forever_elsewhere_ends_at_once(pattern: str) -> None:
    assert grade_choice("a" * 5_000 + "!" + r"\boxed{C}", PLAIN, BOXED, pattern) == "C"
    assert grade_choice("а" * 5_000 + "!" + r"\boxed{C}", PLAIN, BOXED, pattern) == "C"


def test_a_pattern_that_can_not_run_in_linear_time_is_refused() -> None:
    with pytest.raises(ValueError, match="look-around"):
        grade_choice("C", PLAIN, BOXED, r"(?<![A-Za-z])([A-J])(?![A-Za-z])")


def test_all_patterns_share_one_budget() -> None:
    with pytest.raises(ValueError, match="at most"):
        grade_choice("C", PLAIN, BOXED, ["x"] * 1_000)


@pytest.mark.parametrize("mode", MODES)
def test_m34_reasoning_is_never_an_answer(mode: GradingMode) -> None:
    assert grade_choice("<think>Answer: C\n\\boxed{C}</think> I do not know", PLAIN, mode) is None
    assert grade_choice("<think>Answer: C\n\\boxed{C}", PLAIN, mode) is None
    assert grade_choice("<think>Answer: C</think>?", PLAIN, mode, r"Answer: (\w)") is None


def test_the_pattern_of_the_data_set_decides_by_its_last_match() -> None:
    assert grade_choice("pick: a, pick: b", PLAIN, BOXED, r"PICK:\s*(\w)") == "B"
    assert grade_choice("<choice>London</choice>", OPTIONS, BOXED, "<choice>(.*?)</choice>") == "B"


def test_patterns_are_tried_in_order_and_the_mode_comes_last() -> None:
    assert grade_choice("two: B", PLAIN, BOXED, ["one: (.)", "two: (.)"]) == "B"
    assert grade_choice(r"\boxed{C}", PLAIN, BOXED, ["one: (.)"]) == "C"
    assert grade_choice(r"one: Z two: B", PLAIN, BOXED, ["one: (.)", "two: (.)"]) is None


def test_an_option_letter_may_be_of_any_alphabet_and_case() -> None:
    assert grade_choice(r"\boxed{B}", {"b": "x"}, BOXED) == "B"
    assert grade_choice(r"\boxed{Б}", {"Б": "x"}, BOXED) == "Б"
    assert grade_choice(r"\boxed{AB}", {"AB": "x"}, LENIENT) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "hostile",
    [
        "\\boxed{" * 140_000,
        "\\boxed{" + "!" * 500_000 + "A}",
        "answer:" * 140_000,
        "Answer:" + " A B" * 200_000,
    ],
    ids=["boxes", "a long box", "markers", "a long answer"],
)
def test_a_megabyte_of_hostile_text_is_read_at_once(mode: GradingMode, hostile: str) -> None:
    assert grade_choice(hostile, PLAIN, mode) is None


PIECES = st.lists(
    st.sampled_from(
        [
            *"ABCDZabc0123.,:;)(-*_!\\${}\n ",
            "Answer:",
            "\\boxed{",
            "\\text{",
            "optA",
            "optB",
            "not",
            "ج",
            "Ａ",
            "С",
        ]
    ),
    max_size=20,
).map("".join)


@given(PIECES | st.text(), st.sampled_from(MODES))
def test_only_an_option_letter_is_ever_returned(text: str, mode: GradingMode) -> None:
    assert grade_choice(text, PLAIN, mode) in {None, *PLAIN}
    assert grade_choice(rf"\boxed{{{text}}}", PLAIN, mode) in {None, *PLAIN}


@given(st.dictionaries(st.text(max_size=2), st.text(max_size=10), max_size=5), PIECES, st.sampled_from(MODES))
def test_odd_options_never_raise(options: dict[str, str], text: str, mode: GradingMode) -> None:
    grade_choice(text, options, mode)


@given(st.sampled_from("ABCD"), st.sampled_from(MODES))
def test_every_mode_reads_the_plain_answer(letter: str, mode: GradingMode) -> None:
    assert grade_choice(f"Some words.\nAnswer: \\boxed{{{letter}}}", PLAIN, mode) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        (r"\boxed{\boxed{B}}", "B"),
        (r"\boxed{\boxed{\boxed{B}}}", "B"),
        (r"\boxed{A) \boxed{B}}", None),
        (r"\boxed{\boxed{B} A}", None),
        (r"\boxed{" * 9 + "B" + "}" * 9, None),
        ("\\boxed{\u202eB}", None),
        ("\\boxed{B}\u202e gnorw si", None),
        (r"\boxed{90001, 90002, B}", None),
    ],
)
def test_boxes_in_boxes_direction_overrides_and_lists_of_numbers(text, letter):
    options = {"A": "five", "B": "six", "C": "seven"}
    assert grade_choice(text, options, "strict_single_letter_boxed") == letter
