"""Finding the answer inside model text."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.text import (
    Place,
    answer_places,
    box_beside,
    last_box,
    last_boxed,
    last_code_block,
    last_nonempty_line,
    last_tagged,
    marked_answers,
    peel_text,
    strip_reasoning,
)

MEGABYTE = 1_000_000
HOSTILE = [
    "\\boxed{" * 150_000,
    "\\boxed{" + "{" * MEGABYTE,
    "\\boxed" + " " * MEGABYTE,
    "\\boxed{" * 75_000 + "}" * 75_000,
    "\\text{" * 80_000 + "}" * 80_000,
    "\\" * MEGABYTE,
    "$" * MEGABYTE,
    "<answer>" * 125_000,
    "<think>" * 150_000,
    "</think" * 150_000,
    "```\n" * 250_000,
    "`" * MEGABYTE,
    "answer:" * 150_000,
    "answer" + " " * MEGABYTE,
    "final " * 150_000,
    "\n" * MEGABYTE,
]
MARKUP = st.lists(
    st.sampled_from(
        [
            "\\boxed{",
            "\\fbox{",
            "\\text{",
            "\\mathrm{",
            "{",
            "}",
            "\\",
            "$",
            "\\(",
            "\\)",
            "<think>",
            "</think>",
            "<answer>",
            "</answer>",
            "```",
            "~~~",
            "python",
            "\n",
            " ",
            "Answer:",
            "Final",
            "**",
            "42",
            "x",
            "é",
            "İ",
        ]
    ),
    max_size=40,
).map("".join)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"so \boxed{42}.", "42"),
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{1} then \fbox{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed {7}", "7"),
        (r"\boxed{a \boxed{b} c}", "b"),
        (r"\boxed{ }", ""),
        ("no box", None),
        (r"\boxed{1} and \boxed{2", None),
        (r"\boxed 5", None),
    ],
)
def test_the_last_box_gives_its_content(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


def test_answers_come_with_their_places() -> None:
    text = r"x **Answer:** *B* then \boxed{ C }."
    assert answer_places(text) == [Place(r"B* then \boxed{ C }.", 15, 35)]
    box = last_box(text)
    assert box is not None
    assert (box.content, text[box.start : box.end]) == ("C", r"\boxed{ C }")


def test_a_box_beside_another_has_only_separators_between() -> None:
    for text, content in [(r"\boxed{A}, $\boxed{B}", "A"), (r"\boxed{A} or \boxed{B}", None)]:
        box = last_box(text)
        assert box is not None
        beside = box_beside(text, box)
        assert (beside and beside.content) == content


@pytest.mark.parametrize(
    ("wrapped", "peeled"),
    [
        (r"\text{B}", "B"),
        (r"\textbf{(B)}\ 42", r"(B)\ 42"),
        (r"5\text{ cm}", "5 cm"),
        (r"$\text{$x$}$", "x"),
        (r"\(\mathrm{x}\)", "x"),
        ("$$x$$", "x"),
        ("$a$ + $b$", "$a$ + $b$"),
        ("$5", "$5"),
        (r"\mathrm{\alpha}x", r"\alpha x"),
        (r"\text{open", r"\text{open"),
        (r"\textit{\text{a}}", "a"),
    ],
)
def test_wrappers_and_delimiters_are_peeled(wrapped: str, peeled: str) -> None:
    assert peel_text(wrapped) == peeled


def test_the_last_complete_tag_counts() -> None:
    assert last_tagged("<a>1</a> <a> 2 </a> <a>3", "a") == "2"
    assert last_tagged("<a>1", "a") is None
    assert last_tagged("1</a>", "a") is None


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain", "plain"),
        ("<think>a</think>b", "b"),
        ("a</think>b</THINK>c", "c"),
        ("before <think> never closed", "before "),
        ("<think>a</think>b<thinking>c", "b"),
    ],
)
def test_reasoning_is_removed(text: str, left: str) -> None:
    assert strip_reasoning(text) == left


def test_m34_a_box_inside_the_thinking_is_not_an_answer() -> None:
    assert last_boxed(strip_reasoning(r"<think>\boxed{42}</think> I do not know")) is None


@pytest.mark.parametrize(
    ("text", "language", "code"),
    [
        ("```python\nx = 1\n```", None, "x = 1"),
        ("```py\nx\n```", "python", "x"),
        ("```Python3\nx\n```", "python", "x"),
        ("```a\n1\n```\n```b\n2\n```", None, "2"),
        ("```sql\n1\n```\n```\n2\n```", "sql", "1"),
        ("```sql\n1\n```", "python", None),
        ("```\nnever closed", None, None),
        ("````\n```\ninner\n```\n````", None, "```\ninner\n```"),
        ("~~~\nx\n~~~", None, "x"),
        ("1. item\n   ```\n   a\n     b\n   ```", None, "a\n  b"),
        ("```\r\na\r\n```\r\n", None, "a"),
        ("```\n```", None, ""),
        ("inline ```x``` only", None, None),
    ],
)
def test_the_last_closed_fence_gives_its_code(text: str, language: str | None, code: str | None) -> None:
    assert last_code_block(text, language) == code


def test_the_last_line_that_is_not_blank_is_found() -> None:
    assert last_nonempty_line("a\n  b \n\n \n") == "b"
    assert last_nonempty_line("a\rb") == "b"
    assert last_nonempty_line(" \n ") == ""


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("Answer: 4\nFinal Answer: 5", ["4", "5"]),
        ("Answer: 42. No, Answer: 7", ["42. No,", "7"]),
        ("**Answer:** **C**", ["C"]),
        ("**Final Answer**: `x`", ["x"]),
        ("Answer:\n\n42\nbye", ["42"]),
        ("answer：4", ["4"]),
        ("The answer is 4", []),
        ("Answer:", [""]),
    ],
)
def test_answers_after_a_marker_are_listed_in_order(text: str, answers: list[str]) -> None:
    assert marked_answers(text) == answers


def test_only_the_last_markers_are_kept() -> None:
    assert marked_answers("answer: 1\nanswer: 2\nanswer: 3", limit=2) == ["2", "3"]


@given(
    st.lists(st.sampled_from(["final ", "answer", "Answer: 1", "**", ":", "\n", " ", "x", "İ"])).map("".join)
)
def test_fewer_answers_are_the_last_of_all(text: str) -> None:
    every = marked_answers(text, limit=len(text))
    assert marked_answers(text, limit=1) == every[-1:]
    assert marked_answers(text, limit=2) == every[-2:]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_n13_a_megabyte_of_openings_is_read_in_linear_time(text: str) -> None:
    last_boxed(text)
    peel_text(text)
    last_tagged(text, "answer")
    strip_reasoning(text)
    last_code_block(text)
    last_nonempty_line(text)
    marked_answers(text)


@given(MARKUP | st.text())
def test_no_text_makes_a_reader_raise(text: str) -> None:
    last_boxed(text)
    last_tagged(text, "answer")
    last_code_block(text, "python")
    last_nonempty_line(text)
    peel_text(text)
    marked_answers(text)


@given(MARKUP)
def test_removing_reasoning_twice_is_removing_it_once(text: str) -> None:
    once = strip_reasoning(text)
    assert strip_reasoning(once) == once
    assert "<think>" not in once
    assert "</think>" not in once


@given(st.text(alphabet="ab12 +=", max_size=20))
def test_what_is_put_into_the_last_box_comes_out(content: str) -> None:
    assert last_boxed(rf"\boxed{{9}} so \boxed{{{content}}}.") == content.strip()


@given(st.text(alphabet="ab\n #\t", max_size=60))
def test_what_is_put_into_a_fence_comes_out(code: str) -> None:
    assert last_code_block(f"text\n```python\n{code}\n```\nmore", "python") == code


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: last_boxed(r"\boxed{" + "1" * 9_000 + "}"), "1" * 9_000),
        (lambda: last_boxed(r"\boxed{" + "1" * 11_000 + "}"), None),
        (lambda: last_boxed(r"\boxed{7}" + " box" * 900), "7"),
        (lambda: last_boxed(r"\boxed{7}" + " box" * 1_100), None),
        (lambda: marked_answers("Answer: 7\n" + "answer " * 900), ["7"]),
        (lambda: marked_answers("Answer: 7\n" + "answer " * 1_100), []),
        (lambda: last_code_block("```\nx\n```" + "\n" * 19_000), "x"),
        (lambda: last_code_block("```\nx\n```" + "\n" * 21_000), None),
        (lambda: strip_reasoning("\u0130<THINK>\u0130</Thinking>\u0130 7 <think>"), "\u0130 7 "),
    ],
)
def test_a_search_ends_at_its_limit(call: Callable[[], object], expected: object) -> None:
    assert call() == expected
