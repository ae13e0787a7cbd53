"""Where a text names an option."""

import pytest

from nemo_gym.verifiers.choice import GradingMode, grade_choice
from nemo_gym.verifiers.denials import OTHER, SELF
from nemo_gym.verifiers.options import Options, plain

OPTIONS = Options({"a": "iron", "B": "iron oxide", "C": r"\text{vitamin A}", "D": "", "long": "no letter"})


def test_keys_are_single_letters_in_capitals() -> None:
    assert OPTIONS.texts == {"A": "iron", "B": "iron oxide", "C": "vitamin a", "D": ""}
    assert OPTIONS.letter("b") == "B"
    assert OPTIONS.letter("E") is None


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("A and B", f"{SELF} and {OTHER}"),
        ("iron oxide, not iron", f"{OTHER}, not {SELF}"),
        ("Vitamin A is C", f"{OTHER} is {OTHER}"),
        ("A metal is option a", f"A metal is option {SELF}"),
        ("an ironing board", "an ironing board"),
        ("<answer>A</answer>", SELF),
        ("A不对", f"{SELF} 不对"),
        ("B-level, C'est", "B-level, C'est"),
        ("", ""),
    ],
)
def test_the_answer_and_its_rivals_are_marked(text: str, marked: str) -> None:
    assert OPTIONS.mark(text, "A") == marked


def test_a_text_that_two_options_have_can_mean_either() -> None:
    twins = Options({"A": "iron", "B": "Iron.", "C": "gold"})
    assert [mention.letters for mention in twins.mentions("iron or gold")] == [{"A", "B"}, {"C"}]
    assert twins.equal_text("iron") is None
    assert twins.equal_text("gold") == "C"
    assert twins.mark("iron, gold", "B") == f"{SELF}, {OTHER}"


def test_latex_and_delimiters_are_left_out() -> None:
    assert plain(r"$\text{B}\quad\mathrm{iron}~oxide$") == "B  iron oxide"


BOXED: GradingMode = "strict_single_letter_boxed"
LENIENT: GradingMode = "lenient_boxed"
COLON: GradingMode = "lenient_answer_colon"
MARKDOWN: GradingMode = "lenient_answer_colon_md"
YES_NO = {"A": "yes", "B": "no", "C": "maybe"}
TRUE_FALSE = {"A": "True", "B": "False"}
LETTERS_INSIDE = {"A": "Hepatitis B", "B": "Hepatitis A", "C": "Vitamin C", "D": "none of the above"}
NEGATIONS = {
    "A": "It is not soluble",
    "B": "It is soluble",
    "C": "It may be soluble",
    "D": "It is soluble or not",
}
NUMERALS = {"A": "1", "B": "10", "C": "100", "D": "-10"}
ROMAN = {"A": "I only", "B": "II only", "C": "I and II", "D": "neither I nor II"}
COMBINED = {"A": "gold", "B": "silver", "C": "Both A and B", "D": "All of the above"}
SENTENCES = {
    "A": "Because the reaction is not spontaneous, it cannot proceed",
    "B": "The reaction proceeds without a catalyst",
    "C": "No reaction occurs",
    "D": "The answer cannot be determined",
}
ANSWER_WORDS = {"A": "right", "B": "wrong", "C": "the answer", "D": "option"}
DOUBT_WORDS = {"A": "guess", "B": "could be", "C": "or", "D": "probably"}
TWINS = {"A": "iron", "B": "iron", "C": "gold"}


@pytest.mark.parametrize(
    ("options", "mode", "text", "letter"),
    [
        (YES_NO, BOXED, "\\boxed{B}\nNo.", "B"),
        (YES_NO, BOXED, "\\boxed{A}\nYes.", "A"),
        (YES_NO, BOXED, "\\boxed{A}\nNo.", None),
        (YES_NO, BOXED, r"The answer is no, so \boxed{B}.", "B"),
        (YES_NO, BOXED, r"The answer is no: \boxed{B}", "B"),
        (YES_NO, BOXED, r"No, \boxed{B}.", "B"),
        (YES_NO, BOXED, r"No. \boxed{B}", "B"),
        (YES_NO, LENIENT, r"\boxed{no}", "B"),
        (YES_NO, LENIENT, r"\boxed{maybe}", "C"),
        (YES_NO, COLON, "Answer: no", "B"),
        (YES_NO, COLON, "Answer: No.", "B"),
        (YES_NO, COLON, "Answer: maybe", "C"),
        (YES_NO, MARKDOWN, "Answer: C) maybe", "C"),
        (YES_NO, MARKDOWN, "Answer: C (maybe)", "C"),
        (YES_NO, BOXED, r"\boxed{C) maybe}", "C"),
        (YES_NO, BOXED, r"Maybe. \boxed{C}", "C"),
        (YES_NO, BOXED, r"The answer is maybe: \boxed{C}", "C"),
        (YES_NO, COLON, "Answer: no, maybe", None),
        (YES_NO, COLON, "Answer: yes\nNo.", None),
        (YES_NO, BOXED, r"There is no evidence, so \boxed{B}", "B"),
        (YES_NO, BOXED, "\\boxed{B}\nThere is no evidence for it.", "B"),
        (YES_NO, BOXED, "\\boxed{A}\nThere is no reason to doubt it.", "A"),
        (YES_NO, COLON, "Answer: B", "B"),
        (YES_NO, COLON, "Answer: B. No", "B"),
        (YES_NO, COLON, "Answer: A. No", None),
        (YES_NO, MARKDOWN, "Answer: not no", None),
        (TRUE_FALSE, BOXED, r"The statement is false, so \boxed{B}.", "B"),
        (TRUE_FALSE, BOXED, r"This is false: \boxed{B}", "B"),
        (TRUE_FALSE, BOXED, r"The statement is not true. \boxed{B}", "B"),
        (TRUE_FALSE, BOXED, r"It is not true, so \boxed{B}", "B"),
        (TRUE_FALSE, LENIENT, r"\boxed{False}", "B"),
        (TRUE_FALSE, BOXED, "\\boxed{A}\nThat is false.", None),
        (TRUE_FALSE, BOXED, "\\boxed{B}\nThe claim is false because iron rusts.", "B"),
        (TRUE_FALSE, BOXED, r"\boxed{B} (False)", "B"),
        (TRUE_FALSE, BOXED, r"\boxed{A} (False)", None),
        (TRUE_FALSE, COLON, "Answer: False", "B"),
        (TRUE_FALSE, COLON, "Answer: True\nFalse", None),
        (TRUE_FALSE, MARKDOWN, "Answer: The statement is False", "B"),
        (TRUE_FALSE, COLON, "Answer: not true", None),
        (LETTERS_INSIDE, BOXED, r"\boxed{B}", "B"),
        (LETTERS_INSIDE, LENIENT, r"\boxed{Hepatitis A}", "B"),
        (LETTERS_INSIDE, COLON, "Answer: B) Hepatitis A", "B"),
        (LETTERS_INSIDE, COLON, "Answer: A) Hepatitis A", None),
        (LETTERS_INSIDE, BOXED, r"It is Hepatitis A, so \boxed{B}.", "B"),
        (LETTERS_INSIDE, BOXED, r"\boxed{B} (Hepatitis A)", "B"),
        (LETTERS_INSIDE, BOXED, r"\boxed{B}, Hepatitis A, not Hepatitis B.", "B"),
        (LETTERS_INSIDE, MARKDOWN, "Answer: B, which is Hepatitis A", "B"),
        (LETTERS_INSIDE, MARKDOWN, "Answer: Hepatitis A", "B"),
        (LETTERS_INSIDE, MARKDOWN, "Answer: Hepatitis A (B)", "B"),
        (LETTERS_INSIDE, MARKDOWN, "Answer: Hepatitis B (B)", None),
        (LETTERS_INSIDE, BOXED, "\\boxed{B}\nThe answer is Hepatitis B.", None),
        (LETTERS_INSIDE, BOXED, "\\boxed{B}\nThe answer is Hepatitis A.", "B"),
        (LETTERS_INSIDE, BOXED, "\\boxed{D}\nNone of the above.", "D"),
        (LETTERS_INSIDE, BOXED, r"None of the above. \boxed{D}", "D"),
        (LETTERS_INSIDE, BOXED, r"It is none of the above: \boxed{D}", "D"),
        (LETTERS_INSIDE, COLON, "Answer: none of the above", "D"),
        (LETTERS_INSIDE, COLON, "Answer: D, none of the above", "D"),
        (LETTERS_INSIDE, BOXED, r"None of them is right, so \boxed{D}", "D"),
        (LETTERS_INSIDE, BOXED, r"None of A, B and C is right, so \boxed{D}", "D"),
        (LETTERS_INSIDE, BOXED, r"\boxed{D}, as A, B and C are wrong", "D"),
        (NEGATIONS, BOXED, r"\boxed{A}", "A"),
        (NEGATIONS, BOXED, r"\boxed{A) It is not soluble}", "A"),
        (NEGATIONS, LENIENT, r"\boxed{It is not soluble}", "A"),
        (NEGATIONS, LENIENT, r"\boxed{It is not soluble.}", "A"),
        (NEGATIONS, COLON, "Answer: A) It is not soluble", "A"),
        (NEGATIONS, COLON, "Answer: B) It is not soluble", None),
        (NEGATIONS, COLON, "Answer: It is soluble", "B"),
        (NEGATIONS, COLON, "Answer: It may be soluble", "C"),
        (NEGATIONS, COLON, "Answer: C. It may be soluble", "C"),
        (NEGATIONS, COLON, "Answer: It is soluble or not", "D"),
        (NEGATIONS, BOXED, r"It is not soluble, so \boxed{A}", "A"),
        (NEGATIONS, BOXED, r"\boxed{A}: It is not soluble", "A"),
        (NEGATIONS, BOXED, r"\boxed{A}. It is not soluble.", "A"),
        (NEGATIONS, BOXED, r"\boxed{B}. It is not soluble.", None),
        (NEGATIONS, BOXED, r"\boxed{C}. It may be soluble.", "C"),
        (NEGATIONS, MARKDOWN, "Answer: It is not soluble, i.e. A", "A"),
        (NUMERALS, LENIENT, r"\boxed{10}", "B"),
        (NUMERALS, LENIENT, r"\boxed{-10}", "D"),
        (NUMERALS, COLON, "Answer: 10", "B"),
        (NUMERALS, COLON, "Answer: 10?", None),
        (NUMERALS, COLON, "Answer: B. 10", "B"),
        (NUMERALS, COLON, "Answer: B (10)", "B"),
        (NUMERALS, COLON, "Answer: 10 or 100", None),
        (NUMERALS, COLON, "Answer: ~10", None),
        (NUMERALS, BOXED, r"x = 10, so \boxed{B}", "B"),
        (NUMERALS, BOXED, r"x = 10. \boxed{B}", "B"),
        (NUMERALS, BOXED, r"$1 \cdot 10 = 10$: \boxed{B}", "B"),
        (NUMERALS, BOXED, r"From 1 and 10 we get \boxed{B}", "B"),
        (NUMERALS, BOXED, r"1 + 9 = 10 \boxed{B}", "B"),
        (NUMERALS, BOXED, r"The value is 10, \boxed{B}", "B"),
        (NUMERALS, BOXED, "\\boxed{B}\n10", "B"),
        (NUMERALS, BOXED, "\\boxed{B}\n1 + 9 = 10, and 10 is not 1.", "B"),
        (NUMERALS, BOXED, "\\boxed{B}\nStep 1: add.", "B"),
        (NUMERALS, BOXED, r"Option 1: wrong. \boxed{B}", "B"),
        (NUMERALS, BOXED, "\\boxed{B}\n100", None),
        (ROMAN, BOXED, r"\boxed{A}", "A"),
        (ROMAN, COLON, "Answer: A) I only", "A"),
        (ROMAN, COLON, "Answer: I only", "A"),
        (ROMAN, COLON, "Answer: I and II", "C"),
        (ROMAN, COLON, "Answer: neither I nor II", "D"),
        (ROMAN, COLON, "Answer: D. neither I nor II", "D"),
        (ROMAN, BOXED, r"\boxed{D}: neither I nor II", "D"),
        (ROMAN, BOXED, r"I is right and II is not, so \boxed{A}", "A"),
        (ROMAN, BOXED, r"Since neither holds, \boxed{D}", "D"),
        (ROMAN, BOXED, r"Neither I nor II: \boxed{D}", "D"),
        (ROMAN, BOXED, r"I think \boxed{A}", "A"),
        (COMBINED, BOXED, r"\boxed{C}", "C"),
        (COMBINED, COLON, "Answer: Both A and B", "C"),
        (COMBINED, COLON, "Answer: C) Both A and B", "C"),
        (COMBINED, BOXED, r"Both A and B are right, so \boxed{C}.", "C"),
        (COMBINED, BOXED, r"A and B are both right: \boxed{C}", "C"),
        (COMBINED, BOXED, r"A is right and B is right, so \boxed{C}", "C"),
        (COMBINED, COLON, "Answer: A and B", None),
        (COMBINED, COLON, "Answer: C, since A and B are right", "C"),
        (COMBINED, BOXED, r"\boxed{C}, both A and B", "C"),
        (COMBINED, BOXED, "\\boxed{C}\nA and B are both right.", "C"),
        (COMBINED, BOXED, "\\boxed{D}\nAll of the above.", "D"),
        (COMBINED, COLON, "Answer: all of the above", "D"),
        (COMBINED, BOXED, "\\boxed{A}\nAll of the above.", None),
        (SENTENCES, BOXED, r"\boxed{A}", "A"),
        (SENTENCES, LENIENT, r"\boxed{No reaction occurs}", "C"),
        (SENTENCES, COLON, "Answer: D) The answer cannot be determined", "D"),
        (SENTENCES, COLON, "Answer: The answer cannot be determined", "D"),
        (SENTENCES, BOXED, r"The answer cannot be determined: \boxed{D}", "D"),
        (SENTENCES, BOXED, r"The answer cannot be determined, so \boxed{D}", "D"),
        (SENTENCES, BOXED, "\\boxed{D}\nThe answer cannot be determined.", "D"),
        (SENTENCES, BOXED, r"\boxed{D}. It cannot be determined.", "D"),
        (SENTENCES, COLON, "Answer: A) Because the reaction is not spontaneous, it cannot proceed", "A"),
        (SENTENCES, COLON, "Answer: A. Because the reaction is not spontaneous, it cannot proceed.", "A"),
        (SENTENCES, COLON, "Answer: Because the reaction is not spontaneous, it cannot proceed", "A"),
        (SENTENCES, LENIENT, r"\boxed{\text{B. The reaction proceeds without a catalyst}}", "B"),
        (SENTENCES, COLON, "Answer: B because the reaction is not spontaneous", "B"),
        (ANSWER_WORDS, COLON, "Answer: B) wrong", "B"),
        (ANSWER_WORDS, COLON, "Answer: wrong", "B"),
        (ANSWER_WORDS, BOXED, r"\boxed{B} wrong", "B"),
        (ANSWER_WORDS, BOXED, "\\boxed{A}\nThat is wrong.", None),
        (ANSWER_WORDS, BOXED, r"The answer is \boxed{A}", "A"),
        (ANSWER_WORDS, BOXED, r"The answer is \boxed{B}", "B"),
        (ANSWER_WORDS, BOXED, r"The correct option is \boxed{B}", "B"),
        (DOUBT_WORDS, COLON, "Answer: A) guess", "A"),
        (DOUBT_WORDS, COLON, "Answer: B) could be", "B"),
        (DOUBT_WORDS, COLON, "Answer: C) or", "C"),
        (DOUBT_WORDS, COLON, "Answer: D) probably", "D"),
        (DOUBT_WORDS, COLON, "Answer: probably", "D"),
        (TWINS, COLON, "Answer: A) iron", "A"),
        (TWINS, COLON, "Answer: B) iron", "B"),
        (TWINS, COLON, "Answer: iron", None),
        (TWINS, BOXED, "\\boxed{B}\nIt is iron.", "B"),
    ],
)
def test_options_whose_texts_hold_letters_and_words_of_an_answer(
    options: dict[str, str], mode: GradingMode, text: str, letter: str | None
) -> None:
    assert grade_choice(text, options, mode) == letter
