"""Which part of a model's text is its final answer."""

import pytest

from nemo_gym.verifiers.math import extract, grade

EXTRACTED = [  # text, answer
    ("The answer is:\n\n$$42$$", "$$42$$"),
    ("The answer is\n\\[\n42\n\\]", "42"),
    ("the answer is: \n $$\n42\n$$", "42"),
    ("**Answer:**\n42", "42"),
    ("**Final Answer:**\n\n42\n\nI checked it twice.", "42"),
    ("Answer: 42\nor 43", None),
    ("Answer: 42\nWait, that is wrong.", None),
    ("The answer is\n\n42\n\nor maybe 43", None),
    ("The answer is not 42.", "not 42"),
    ("The answer isn't 42", None),
    ("The answer is 5, or 6", "5, or 6"),
    (r"\boxed{5} or \boxed{6}", "5 or 6"),
    (r"$\boxed{5}$ or $\boxed{6}$", "5 or 6"),
    (r"$x = \boxed{1}, \boxed{2}$", "1, 2"),
    (r"\boxed{1} \text{ and } \boxed{2}", "1, 2"),
    (r"\boxed{5}\boxed{6}", "5, 6"),
    ("\\boxed{5}\n\n\\boxed{5}", "5"),
    (r"Case one gives \boxed{5}, but case two holds, so \boxed{6}", "6"),
    (r"\boxed{5} or 6", "5 or 6"),
    (r"\boxed{5} is wrong", "5 or"),
    (r"The answer is not \boxed{5}", "not 5"),
    (r"It can't be $\boxed{5}$", "not 5"),
    (r"x is not 5. It is \boxed{6}", "6"),
    (r"\boxed{5}, which equals \boxed{\frac{10}{2}}", r"\frac{10}{2}"),
    (r"\boxed{5}. I hope it helps, or ask again.", "5"),
]


@pytest.mark.parametrize(("text", "answer"), EXTRACTED)
def test_the_final_answer_is_extracted(text, answer):
    assert extract(text) == answer


@pytest.mark.parametrize(
    ("text", "gold", "score"),
    [
        ("The answer is:\n\n$$42$$", "42", 1.0),
        (r"\boxed{5} or \boxed{6}", "5", 0.0),
        (r"\boxed{5} or \boxed{6}", "6", 0.0),
        (r"$x = \boxed{1}, \boxed{2}$", "1, 2", 1.0),
        (r"\boxed{4} \boxed{5} \boxed{6}", "6", 0.0),
        (r"The answer is not \boxed{5}", "5", 0.0),
        (r"\boxed{5} or 6", "5", 0.0),
        (r"\boxed{5} is wrong", "5", 0.0),
        ("Answer: 42\nor 43", "42", 0.0),
        ("The answer isn't 42", "42", 0.0),
        ("The answer is probably 42", "42", 0.0),
    ],
)
def test_a_second_candidate_or_a_denial_around_an_answer_never_pays(text, gold, score):
    assert grade(text, gold).score == score
