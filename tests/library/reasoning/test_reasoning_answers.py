"""Wrong but plausible forms of answers to reasoning problems, for every kind of answer."""

import pytest

from nemo_gym.library.reasoning.reasoning.answers import extract, plain_answer, same_text
from nemo_gym.library.reasoning.reasoning.environment import FAMILIES

KINDS = {  # name of the reader: the right answer and another one
    "number": ("94", "89"),
    "numbers": ("3, 5, 9", "2, 7, 8"),
    "numeral": ("1010", "111"),
    "word": ("pear", "plum"),
    "words": ("pear, plum", "plum, pear"),
    "names": ("Ann", "Bob"),
    "truth": ("True", "False"),
    "time_of_day": ("07:05", "08:15"),
    "expression": ("8 * 8", "4 + 9"),
    "grid": ("2 4 3 1\n1 3 4 2\n3 2 1 4\n4 1 2 3", "3 1 4 2\n4 2 3 1\n1 4 2 3\n2 3 1 4"),
    "assignment": ("A=red, B=blue", "A=blue, B=red"),
    "route": ("A-B-C", "A-C-B"),
}
READERS = {family.read.__name__: family.read for family in FAMILIES.values()}
NEVER = [  # {0} is the right answer, {1} another one
    "{0} or {1}",
    "{1} or {0}",
    "either {1} or {0}",
    "It is {1} or it is {0}",
    "It is {1}, or: {0}",
    "It could be {1}; it could be: {0}",
    "maybe it is {0}",
    "perhaps the answer is {0}",
    "No idea. Guess: {0}",
    "One of: {0}",
    "{0}?",
    "not {0}",
    "The answer is not {0}",
    "The answer isn't: {0}",
    "I doubt that it is {0}",
    "Incorrect answer: {0}",
    "answer =/= {0}",
    "answer >= {0}",
    "answer <= {0}",
    "it is at least: {0}",
    "less than = {0}",
    "Others say it is {0}",
    "A fool would say: {0}",
    "does n o t equal = {0}",
    "The answer is {1} unless it is {0}",
    "If odd the answer is {1}; if even the answer is {0}",
    "The answer is {0}. No, it is {1}.",
    "A: {1}\nB: {0}",
    "<answer>{0} or {1}</answer>",
    "<answer>{1}, or maybe: {0}</answer>",
    "<answer>It is {1}.\nIt is {0}</answer>",
    "<answer>not {0}</answer>",
    "<answer>{0}?</answer>",
    "<answer>{0}</answer> is wrong",
    "<answer>{0}</answer> (or {1})",
    "<answer>{0}</answer>, or maybe {1}",
    "<answer>{0}</answer> is not right",
    "Not <answer>{0}</answer>",
    "I don't think it is <answer>{0}</answer>",
    "<answer>{1}</answer> or <answer>{0}</answer>",
    r"\boxed{{{1}}} or \boxed{{{0}}}",
    r"\boxed{{{1}}}\boxed{{{0}}}",
    r"\boxed{{{0}}} is wrong",
    r"not \boxed{{{0}}}",
    r"\boxed{{{0}}}?",
]
ALWAYS = [
    "{0}",
    "**{0}**",
    "The answer is {0}",
    "So it = {0}",
    "Answer: {0}",
    "<answer>{0}</answer>",
    "<think>not {0}</think><answer>{0}</answer>",
    "<answer>{1}</answer> Wait, that is wrong. <answer>{0}</answer>",
    r"\boxed{{{0}}}",
    "<answer>The answer is {0}</answer>",
    "Let me think.\n\nThe answer is {0}",
]


def test_every_reader_has_its_answers_here():
    assert READERS.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_hedged_listed_or_denied_answer_is_none(kind):
    read, answers = READERS[kind], KINDS[kind]
    right = read(answers[0])
    assert right is not None
    assert [form for form in NEVER if extract(form.format(*answers), read) == right] == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_in_usual_forms_is_read(kind):
    read, answers = READERS[kind], KINDS[kind]
    right = read(answers[0])
    assert [form for form in ALWAYS if extract(form.format(*answers), read) != right] == []


@pytest.mark.parametrize("kind", ["number", "time_of_day", "expression", "truth", "grid", "numbers", "route"])
def test_an_equation_of_two_answers_is_none(kind):
    read, answers = READERS[kind], KINDS[kind]
    assert extract("answers: {1} = {0}".format(*answers), read) is None
    assert extract("<answer>{1} is {0}</answer>".format(*answers), read) is None


@pytest.mark.parametrize("answers", [("42", "17"), ("pear", "plum"), ("True", "False"), ("[1, 2]", "[2, 1]")])
def test_a_row_known_as_text_is_read_alike(answers):
    def pays(form: str) -> bool:
        return same_text(plain_answer(form.format(*answers)), answers[0])

    odd = ("So it = {0}", "<answer>{1}</answer> Wait, that is wrong. <answer>{0}</answer>")
    assert [form for form in NEVER if pays(form)] == []
    assert [form for form in ALWAYS if form not in odd and not pays(form)] == []


def test_a_mark_of_doubt_is_part_of_an_answer():
    assert not same_text("42?", "42")
    assert not same_text("~42", "42")
    assert same_text("Why?", "why?")
