"""What the words around an answer make of it."""

import pytest

from nemo_gym.verifiers.answer_context import (
    alternative_after,
    denied_before,
    depends_between,
    joint_of,
    taken_back_after,
)


@pytest.mark.parametrize(
    "before",
    [
        "The answer is not ",
        "I don't think the answer is ",
        "It is not true that x = $",
        "It's false that it is ",
        "anything but ",
        "Wrong answer: ",
        "Maybe ",
        "perhaps the answer is ",
        "It could be ",
        "My guess: ",
        "Is it ",
        "more than ",
        "~~",
        "<s>",
        r"\cancel{",
        r"x \ne ",
        "x ≠ ",
    ],
)
def test_a_denial_or_doubt_right_before_an_answer_counts(before):
    assert denied_before(before)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "So the answer is ",
        "It is not 41. It is ",
        "Since 7 is not a square the answer is ",
        "The number of people who can't swim is ",
        "We want x, not y: ",
        "at least ",
        "No solutions exist other than x = ",
        "no more than ",
        "The smallest value it can be is ",
        "The number of primes less than 182 is ",
    ],
)
def test_a_denial_of_something_else_does_not(before):
    assert not denied_before(before)


@pytest.mark.parametrize(
    "after",
    [
        "?",
        "$? No.",
        " is wrong",
        " isn't right.",
        ", which is incorrect.",
        ". No, that is wrong.",
        ". That's not right.",
        "\n\nWait, that is wrong. It is 43.",
        "\nActually, 43.",
        " — no, 43.",
        "$ (wrong)",
        " is only a guess",
        " -- scratch that, 43",
    ],
)
def test_taking_an_answer_back_counts(after):
    assert taken_back_after(f"42{after}", 2)


@pytest.mark.parametrize(
    "after",
    [
        "",
        ".",
        ", not 43.",
        " because 43 is not even.",
        "\n\nNo further steps are needed.",
        ". 43 is wrong.",
        ". This is the correct answer.",
        ". Actually we can double check: 6*7=42. Good.",
        "\n\nWould you like another problem?",
        ". Could it be 43? No.",
        ". No 2 people sit together.",
        "\n\nCommon mistake: forgetting to subtract. That is incorrect reasoning.",
        "\n\nNote: it is impossible to have 43.",
        "\n\nBut note that the problem does not ask for the sum.",
    ],
)
def test_words_about_something_else_take_nothing_back(after):
    assert not taken_back_after(f"42{after}", 2)


@pytest.mark.parametrize(
    ("before", "between", "joint"),
    [
        ("", " or ", "or"),
        ("", " (if even) or ", "or"),
        ("x = ", " or x = ", "or"),
        ("", ", ", ","),
        ("", " / ", ","),
        ("", " for even n, and ", ","),
        ("", "; if n is odd ", ","),
        ("", ". Alternatively: ", ","),
        ("Case 1: ", "\nCase 2: ", ","),
        ("(A) ", "\n(B) ", ","),
        ("- ", "\n- ", ","),
        ("", " is the subtotal. Adding 1 gives ", None),
        ("a = ", " and b = 22 so a+b = ", None),
        ("", " no wait, ", None),
        ("Step 1: ", "\nStep 2: ", None),
    ],
)
def test_two_answers_are_joined_or_the_second_replaces_the_first(before, between, joint):
    assert joint_of(before, between) == joint


def test_an_alternative_may_follow():
    assert alternative_after("42 (or 43)", 2)
    assert alternative_after("42, possibly 43", 2)
    assert not alternative_after("42. Or so I thought", 2)


def test_cases_depend_on_conditions():
    assert depends_between("41 if n is odd, otherwise ")
    assert not depends_between("41. Adding one, we see that ")


@pytest.mark.parametrize(
    "after",
    [
        "\nI take that back",
        ". Actually, I don't know.",
        " Scratch that.",
        "\nI withdraw my answer.",
        "\nI changed my mind.",
        "\nI have no idea.",
        f". {'The sum is long. ' * 60}I take that back.",
    ],
)
def test_a_sentence_that_withdraws_any_answer_counts_however_far_it_is(after):
    assert taken_back_after(rf"\boxed{{5}}{after}", len(r"\boxed{5}"))


@pytest.mark.parametrize(
    "after",
    ["\nI don't know a shorter proof.", ". We take back the factor 2.", ". Nobody can tell them apart."],
)
def test_a_sentence_about_something_else_withdraws_nothing(after):
    assert not taken_back_after(rf"\boxed{{5}}{after}", len(r"\boxed{5}"))
