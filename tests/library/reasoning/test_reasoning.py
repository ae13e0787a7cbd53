from __future__ import annotations

import ast
import itertools
import os
import random
import re
import subprocess
import sys
import zlib
from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemo_gym.library.reasoning.reasoning import answers
from nemo_gym.library.reasoning.reasoning.environment import FAMILIES, SPLITS, Reasoning, request
from nemo_gym.library.reasoning.reasoning.problem import Family, Problem
from nemo_gym.library.reasoning.reasoning.puzzles import COLOURS, evaluate
from nemo_gym.wire.errors import EnvironmentFault, TaskUnfit, UsageError
from nemo_gym.wire.items import message_text
from nemo_gym.wire.task import Row, task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle

ENVIRONMENT = Reasoning()
EVERY_FAMILY = pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
LEVELS = range(5)
EVERY_LEVEL = pytest.mark.parametrize("level", LEVELS)
READERS = sorted({family.read for family in FAMILIES.values()}, key=lambda read: read.__name__)


def problems(name: str, level: int, count: int) -> list[Problem]:
    rng = random.Random(f"{name}:{level}")
    return [FAMILIES[name].make(rng, level) for _ in range(count)]


def row_of(family: Family, problem: Problem, level: int = 0) -> Row:
    return {
        "responses_create_params": {**request(family, problem.question, level, "train")},
        "question": problem.question,
        "answer": problem.answer,
        "metadata": {"source_dataset": family.name, "level": level, **problem.metadata},
    }


def score(name: str, problem: Problem, text: str) -> float:
    return play(ENVIRONMENT, row_of(FAMILIES[name], problem), text).value


# Families


@EVERY_FAMILY
@EVERY_LEVEL
def test_the_oracle_is_always_right(family: Family, level: int):
    for problem in problems(family.name, level, 8):
        assert play_oracle(ENVIRONMENT, row_of(family, problem, level)).value == 1.0


WRONG = {
    "countdown": lambda problem: f"{problem.answer} + 1",
    "subset_sum": lambda problem: f"{problem.answer}, {problem.answer.split(', ')[0]}",
    "n_queens": lambda problem: ", ".join([problem.answer.split(", ")[1], *problem.answer.split(", ")[1:]]),
    "graph_colouring": lambda problem: re.sub("green|blue", "red", problem.answer),
    "shortest_path": lambda problem: problem.answer[::-1],
    "cryptarithm": lambda problem: re.sub(r"\d", "7", problem.answer),
}


@EVERY_FAMILY
@EVERY_LEVEL
def test_a_wrong_answer_of_the_right_kind_earns_nothing(family: Family, level: int):
    made = problems(family.name, level, 8)
    for problem, other in itertools.pairwise(made):
        wrong = WRONG[family.name](problem) if family.accepts else other.answer
        if family.accepts or family.read(wrong) != family.read(problem.answer):
            assert score(family.name, problem, wrong) == 0.0


@EVERY_FAMILY
def test_every_level_is_harder_than_the_one_below(family: Family):
    made = [problems(family.name, level, 30) for level in LEVELS]
    means = [sum(problem.metadata["hardness"] for problem in level) / len(level) for level in made]
    assert all(below < above for below, above in itertools.pairwise(means)), means


@EVERY_FAMILY
@EVERY_LEVEL
def test_a_generator_depends_on_nothing_but_its_random_source(family: Family, level: int):
    assert problems(family.name, level, 5) == problems(family.name, level, 5)


@EVERY_FAMILY
def test_the_smallest_level_has_questions_for_every_split(family: Family):
    rng = random.Random(family.name)
    fifths: set[int] = set()
    for _ in range(500):
        fifths.add(zlib.crc32(family.make(rng, 0).question.encode()) % 5)
        if len(fifths) == 5:
            return
    pytest.fail(f"only {fifths}")


# One right answer, verified without the generator


@EVERY_LEVEL
def test_chain_arithmetic_is_computed_right(level: int):
    for problem in problems("chain_arithmetic", level, 20):
        tokens = re.findall(r"\d+|[-+*/()]", problem.question)
        assert evaluate(tokens) == int(problem.answer)


@EVERY_LEVEL
def test_a_linear_equation_holds_for_its_answer_only(level: int):
    def difference(problem: Problem, x: int) -> Fraction:
        equation = problem.question.removeprefix("If ").removesuffix(", what is x?")
        text = re.sub(r"(\d)([x(])", r"\1*\2", equation).replace("x", f"(0-{-x})" if x < 0 else str(x))
        left, right = (evaluate(re.findall(r"\d+|[-+*/()]", side)) for side in text.split("="))
        assert left is not None
        assert right is not None
        return left - right

    for problem in problems("linear_equation", level, 20):
        x = int(problem.answer)
        assert difference(problem, x) == 0
        assert difference(problem, x + 1) != 0


def _line(terms: list[int]) -> set[int]:
    return {terms[-1] + step for step in range(1, 10) if _steps(terms) == [step] * (len(terms) - 1)}


def _steps(terms: list[int]) -> list[int]:
    return [after - before for before, after in itertools.pairwise(terms)]


def _affine(terms: list[int]) -> set[int]:
    rules = itertools.product(range(-9, 10), range(-99, 100))
    return {p * terms[-1] + q for p, q in rules if all(p * a + q == b for a, b in itertools.pairwise(terms))}


def _quadratic(terms: list[int]) -> set[int]:
    growth = set(_steps(_steps(terms)))
    return {terms[-1] + _steps(terms)[-1] + step for step in growth} if len(growth) == 1 else set()


def _two_back(terms: list[int]) -> set[int]:
    triples = list(zip(terms, terms[1:], terms[2:], strict=False))
    rules = itertools.product(range(-20, 21), repeat=2)
    return {p * terms[-1] + q * terms[-2] for p, q in rules if all(p * b + q * a == c for a, b, c in triples)}


def _taking_turns(terms: list[int]) -> set[int]:
    return _quadratic(terms[len(terms) % 2 :: 2]) if _quadratic(terms[1 - len(terms) % 2 :: 2]) else set()


@pytest.mark.parametrize(
    ("level", "continuations"), list(enumerate([_line, _affine, _quadratic, _two_back, _taking_turns]))
)
def test_the_told_rule_leaves_one_next_number(level: int, continuations):
    for problem in problems("number_sequence", level, 8):
        terms = [int(term) for term in problem.question.rpartition(": ")[2].rstrip("?").split(", ")]
        assert continuations(terms) == {int(problem.answer)}


@EVERY_LEVEL
def test_a_base_conversion_keeps_the_value(level: int):
    for problem in problems("base_conversion", level, 20):
        source, numeral, target = re.findall(r"base (\d+)(?: number (\w+) in base (\d+))", problem.question)[
            0
        ]
        assert int(numeral, int(source)) == int(problem.answer, int(target))


@pytest.mark.parametrize("level", [2, 3, 4])
def test_weekdays_agree_with_the_calendar(level: int):
    for problem in problems("weekday", level, 20):
        dates = re.findall(r"\d+ [A-Z]\w+ \d{4}", problem.question)
        days = [f"{datetime.strptime(date, '%d %B %Y'):%A}" for date in dates]  # noqa: DTZ007
        assert f"{dates[0]} is a {days[0]}." in problem.question
        assert problem.answer == days[1]


@EVERY_LEVEL
def test_boolean_expressions_reduce_to_their_answer(level: int):
    table = {f"{a} and {b}": a and b for a in (True, False) for b in (True, False)}
    table |= {f"{a} or {b}": a or b for a in (True, False) for b in (True, False)}
    table |= {"not True": False, "not False": True}
    for problem in problems("boolean", level, 20):
        text = f"({problem.question.partition(': ')[2].rstrip('?')})"
        while text.startswith("("):
            text = re.sub(r"\(([a-zA-Z ]+)\)", lambda inner: str(table[inner[1]]), text)
        assert text == problem.answer


@EVERY_LEVEL
def test_exactly_one_choice_of_knights_fits_what_was_said(level: int):
    def true(statement: list, knights: tuple[bool, ...]) -> bool:
        kind, *about = statement
        if kind == "exactly":
            return sum(knights) == about[0]
        told = [knights[i] for i in about]
        return {
            "knight": told[0],
            "knave": not told[0],
            "same": len(set(told)) == 1,
            "different": len(set(told)) == 2,
            "some_knave": False in told,
        }[kind]

    for problem in problems("knights_knaves", level, 10):
        people, said = problem.metadata["people"], problem.metadata["statements"]
        fitting = [
            [name for name, knight in zip(people, knights, strict=True) if knight]
            for knights in itertools.product((True, False), repeat=len(people))
            if all(true(one, knights) == knight for one, knight in zip(said, knights, strict=True))
        ]
        assert [", ".join(names) or "none" for names in fitting] == [problem.answer]
        assert all(f"{name} says" in problem.question for name in people)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_clues_of_a_zebra_leave_one_arrangement(level: int):
    for problem in problems("zebra", level, 3):
        facts = problem.metadata
        orders = list(itertools.permutations(range(facts["houses"])))
        found = []
        for chosen in itertools.product(orders, repeat=len(facts["groups"])):
            places = [place for order in chosen for place in order]
            checks = {
                "at": lambda a, b, at=places: at[a] == b,
                "not_at": lambda a, b, at=places: at[a] != b,
                "same": lambda a, b, at=places: at[a] == at[b],
                "left": lambda a, b, at=places: at[a] < at[b],
                "next": lambda a, b, at=places: at[a] - at[b] in (1, -1),
            }
            if all(checks[kind](a, b) for kind, a, b in facts["clues"]):
                found.append(str(places[facts["asked"]] + 1))
        assert found == [problem.answer]


@EVERY_LEVEL
def test_a_sudoku_has_one_solution(level: int):
    for problem in problems("sudoku4", level, 3):
        cells = problem.metadata["puzzle"]
        assert " ".join(cells[:4]) in problem.question
        rows = [
            ["".join(row) for row in itertools.permutations("1234") if _fits(row, cells[start : start + 4])]
            for start in (0, 4, 8, 12)
        ]
        solutions = ["".join(grid) for grid in itertools.product(*rows) if _is_sudoku("".join(grid))]
        assert solutions == ["".join(problem.answer.split())]


def _fits(row: tuple[str, ...], given: str) -> bool:
    return all(clue in ("_", digit) for clue, digit in zip(given, row, strict=True))


def _is_sudoku(grid: str) -> bool:
    columns = [grid[column::4] for column in range(4)]
    blocks = [grid[i : i + 2] + grid[i + 4 : i + 6] for i in (0, 2, 8, 10)]
    return all(len(set(unit)) == 4 for unit in columns + blocks)


# Every right answer counts


def test_any_expression_that_reaches_the_target_is_right():
    problem = Problem("", "(1 + 2) * 3", {"numbers": [1, 2, 3], "target": 9})
    for right in ("3 * (2 + 1)", "(1+2)×3 = 9", "<answer>3*(1+2)</answer>", "The answer is (1 + 2) * 3."):
        assert score("countdown", problem, right) == 1.0
    for wrong in ("9", "3 * 3", "1 + 2 * 3", "3 * (2 + 1) * 1", "(1 + 2) * 3)", "((1 + 2) * 3", "3 (1 + 2)"):
        assert score("countdown", problem, wrong) == 0.0


@pytest.mark.parametrize("level", [0, 1, 2])
def test_exactly_the_subsets_with_the_sum_are_right(level: int):
    for problem in problems("subset_sum", level, 2):
        values = problem.metadata["numbers"]
        for size in range(1, 4):
            for chosen in itertools.combinations(values, size):
                text = ", ".join(map(str, chosen))
                assert score("subset_sum", problem, text) == (sum(chosen) == problem.metadata["target"])


def test_exactly_the_proper_colourings_are_right():
    for problem in problems("graph_colouring", 1, 2):
        nodes, edges = problem.metadata["nodes"], problem.metadata["edges"]
        for colours in itertools.product(COLOURS, repeat=len(nodes)):
            chosen = dict(zip(nodes, colours, strict=True))
            text = "\n".join(f"{node}: {colour}" for node, colour in chosen.items())
            proper = all(chosen[a] != chosen[b] for a, b in edges)
            assert score("graph_colouring", problem, text) == proper


def test_exactly_the_safe_placements_of_queens_are_right():
    for problem in problems("n_queens", 0, 3):
        for columns in itertools.permutations(range(1, 6)):
            safe = all(abs(columns[a] - columns[b]) != b - a for a, b in itertools.combinations(range(5), 2))
            kept = all(fixed in (0, c) for fixed, c in zip(problem.metadata["placed"], columns, strict=True))
            assert score("n_queens", problem, str(list(columns))) == (safe and kept)


@pytest.mark.parametrize("level", [0, 1])
def test_exactly_the_shortest_routes_are_right(level: int):
    for problem in problems("shortest_path", level, 4):
        facts = problem.metadata
        lengths = {frozenset((a, b)): length for a, b, length in facts["roads"]}
        places = sorted({place for road in facts["roads"] for place in road[:2]})
        middles = [place for place in places if place not in (facts["start"], facts["goal"])]
        routes = {}
        for size in range(len(middles) + 1):
            for between in itertools.permutations(middles, size):
                stops = (facts["start"], *between, facts["goal"])
                legs = [lengths.get(frozenset(leg)) for leg in itertools.pairwise(stops)]
                routes[stops] = None if None in legs else sum(legs)
        best = min(length for length in routes.values() if length is not None)
        for stops, length in routes.items():
            assert score("shortest_path", problem, " -> ".join(stops)) == (length == best)


def test_exactly_the_digits_that_make_the_sum_true_are_right():
    problem = Problem("", "A=1, B=8, C=9, D=7", {"terms": ["B", "C", "AD"]})
    for a, b, c, d in itertools.product(range(10), repeat=4):
        right = b + c == 10 * a + d and len({a, b, c, d}) == 4 and 0 not in (a, b, c)
        if right or (a == 1 and b < 3):
            assert score("cryptarithm", problem, f"A={a}, B={b}, C={c}, D={d}") == right


# Reading answers


@pytest.mark.parametrize(
    "text",
    [
        "7",
        " 7.\n",
        "**7**",
        "$7$",
        "+7",
        "7.0",
        "= 7",
        "3 + 4 = 7",
        "3 + 4 = 7.",
        "The sum is 7.",
        "First 3, then 4.\n\n**Answer:** 7",
        "Answer:\n7",
        "<answer>7</answer>",
        "<answer> 3 + 4 = 7 </answer> I hope that helps.",
        "<answer>5</answer> no, <answer>7</answer>",
        "\\boxed{7}",
        "So $\\boxed{\\text{7}}$ it is.",
        "<answer>\\boxed{7}</answer>",
        "<think>5? 6?</think>7",
        "<think>never closed</think><think>5</think> The answer is 7",
    ],
)
def test_a_number_is_found_where_it_was_committed_to(text: str):
    assert answers.extract(text, answers.number) == "7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the answer is 1 2 3 4 5 6 7",
        "the answer is 6, 7",
        "6 or 7",
        "1\n2\n7",
        "3 + 4",
        "7 apples",
        "0.7",
        ".7",
        "1/7",
        "12:07",
        "<answer>7",
        "7 <answer>5</answer>",
        "<answer>6 7</answer>",
        "<answer></answer> 7",
        "\\boxed{7} or \\boxed{5}",
        "7, so \\boxed{7",
        "<think>7",
        "1,7",
        "seven",
    ],
)
def test_a_number_that_was_not_committed_to_is_not_found(text: str):
    assert answers.extract(text, answers.number) != "7"


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (answers.number, "-1,204", "-1204"),
        (answers.number, "−5", "-5"),
        (answers.numbers, "[3, 1, -2]", "3 1 -2"),
        (answers.numbers, "Sorted: 1; 2; 3.", "1 2 3"),
        (answers.numbers, "3", None),
        (answers.numeral, "0b0101", "101"),
        (answers.numeral, "The number is 0xFF.", "ff"),
        (answers.numeral, "000", "0"),
        (answers.word, 'The day is "Tuesday".', "tuesday"),
        (answers.word, "Monday or Tuesday", None),
        (answers.words, "The words are: pear, Plum.", "pear plum"),
        (answers.names, "The knights are Bob and Ann.", "ann bob"),
        (answers.names, "None", "none"),
        (answers.truth, "**True**", "true"),
        (answers.truth, "no.", "false"),
        (answers.truth, "True or False", None),
        (answers.time_of_day, "It is 7:05.", "07:05"),
        (answers.time_of_day, "25:00", None),
        (answers.expression, "Answer: (1+2)*3 = 9", "( 1 + 2 ) * 3"),
        (answers.expression, "$2 \\times 3$", "2 * 3"),
        (answers.expression, "2 ** 3 = 8; import os", None),
        (answers.grid, "| 1 2 3 4 |\n| 3 4 1 2 |", "12343412"),
        (answers.assignment, "b: 2 , A = 1", "A=1 B=2"),
        (answers.assignment, "A=1, A=2", None),
        (answers.route, "The way is A -> B → C.", "A B C"),
        (answers.route, "ABC", None),
    ],
)
def test_each_kind_of_answer_has_its_own_canonical_form(read, text: str, expected: str | None):
    assert answers.extract(text, read) == expected


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
@given(text=st.text(max_size=60) | st.text("019abxAB=:,.-+*/() \n", max_size=40))
def test_reading_never_fails_and_a_canonical_form_reads_as_itself(read, text: str):
    value = read(text)
    assert value is None or read(value) == value


HOSTILE = {
    "nothing": "",
    "code": '__import__("pathlib").Path("pwned").write_text("pwned")',
    "code in a tag": '<answer>__import__("pathlib").Path("pwned").write_text("pwned")</answer>',
    "an endless list": "<answer>[0 for _ in iter(int,1)]</answer>",
    "a power tower": "<answer>9**9**9**9</answer>",
    "a spray of numbers": "the answer is " + " ".join(map(str, range(100))),
    "a spray of letters": "the answer is a b c d e f g h i j k l m n o p q r s t u v w x y z",
    "a spray of truths": "the answer is true false",
    "an empty tag": "<answer></answer>",
    "a lone surrogate": "<answer>\ud800</answer>",
    "1 MB of brackets": "<answer>" + "(" * 1_000_000 + "</answer>",
    "1 MB of digits": "<answer>" + "1" * 1_000_000 + "</answer>",
    "1 MB of sums": "<answer>" + "1+" * 500_000 + "1</answer>",
    "1 MB of markers": "is " * 330_000,
    "1 MB of equals signs": "=" * 1_000_000,
    "1 MB of spaces": "answer:" + " " * 1_000_000 + "x",
    "1 MB of tags": "<answer>" * 125_000,
    "1 MB of boxes": "\\boxed{" * 140_000,
    "1 MB of pairs": "A=99, " * 160_000,
}


@EVERY_FAMILY
def test_hostile_text_earns_nothing(family: Family, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    problem = problems(family.name, 0, 1)[0]
    for what, text in HOSTILE.items():
        assert score(family.name, problem, text) == 0.0, what
    assert list(tmp_path.iterdir()) == []


EXPRESSIONS = st.recursive(
    st.integers(0, 99).map(lambda value: (str(value), Fraction(value))),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: _join(*parts)),
    max_leaves=8,
)


def _join(left, sign: str, right) -> tuple[str, Fraction | None]:
    text = f"( {left[0]} {sign} {right[0]} )"
    if left[1] is None or right[1] is None or (sign == "/" and right[1] == 0):
        return text, None
    operations = {
        "+": lambda: left[1] + right[1],
        "-": lambda: left[1] - right[1],
        "*": lambda: left[1] * right[1],
        "/": lambda: left[1] / right[1],
    }
    return text, operations[sign]()


@given(EXPRESSIONS)
def test_an_expression_has_its_exact_value(expression: tuple[str, Fraction | None]):
    text, value = expression
    assert evaluate(text.split()) == value


@given(st.lists(st.sampled_from(["1", "2", "+", "-", "*", "/", "(", ")"]), max_size=9))
@example(["1", ")", "+", "(", "2"])
@example(["1", ")"])
@example(["(", "1"])
def test_a_text_has_a_value_exactly_when_it_is_an_expression(tokens: list[str]):
    try:
        tree = ast.parse(" ".join(tokens), mode="eval").body
    except SyntaxError:
        assert evaluate(tokens) is None
    else:
        assert evaluate(tokens) == _worth(tree)


def _worth(node: ast.expr) -> Fraction | None:
    match node:
        case ast.Constant(value=int(value)):
            return Fraction(value)
        case ast.BinOp(left, op, right):
            sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(op)]
            return _join(("", _worth(left)), sign, ("", _worth(right)))[1]
        case _:
            return None


@pytest.mark.parametrize(
    ("text", "value"), [("1 + 2 * 3", 7), ("8 - 3 - 2", 3), ("8 / 4 / 2", 1), ("( 1 )", 1), ("1 +", None)]
)
def test_products_bind_more_than_sums_and_both_go_from_the_left(text: str, value: int | None):
    assert evaluate(text.split()) == value


# Tasks


def rows(split: str, seed: int, n: int | None, **config: object) -> list[Row]:
    return [task_to_row(task) for task in Reasoning(config).tasks(split, seed, n)]


@EVERY_LEVEL
def test_a_task_is_the_same_however_many_are_asked_for(level: int):
    assert rows("train", 3, 10, level=level) == rows("train", 3, 30, level=level)[:10]


def test_tasks_differ_by_seed():
    assert rows("train", 1, 10) != rows("train", 2, 10)


def test_no_question_is_in_two_splits():
    questions = {split: {row["question"] for row in rows(split, 0, 300)} for split in SPLITS}
    assert all(questions.values())
    for one, other in itertools.combinations(questions, 2):
        assert {one, other} == {"example", "test"} or not questions[one] & questions[other]


@pytest.mark.parametrize("split", SPLITS)
def test_solved_problems_shown_at_level_0_are_right_and_of_another_split(split: str):
    questions = {row["question"] for row in rows(split, 0, 300)}
    for row in rows(split, 0, 100):
        family = FAMILIES[row["metadata"]["source_dataset"]]
        instruction, *turns, question = row["responses_create_params"]["input"]
        texts = [message_text(turn) for turn in turns]
        assert message_text(instruction) == f"Reply with only {family.reply}."
        assert message_text(question) == row["question"]
        assert len(texts) == 6
        assert not questions & set(texts[::2])
        assert all(family.read(answer) for answer in texts[1::2])


def test_a_hundred_tasks_are_made_by_default():
    assert len(rows("train", 0, None, families="addition")) == 100


def test_tasks_are_made_when_they_are_read():
    tasks = iter(Reasoning({"level": 4}).tasks("train", 0, 10**9))
    assert next(tasks).metadata["level"] == 4


def test_the_default_mixture_has_every_family():
    assert {row["metadata"]["source_dataset"] for row in rows("train", 0, 1000)} == set(FAMILIES)


@pytest.mark.parametrize("families", ["caesar, clock", ["caesar", "clock"]])
def test_named_families_are_used_equally_often(families: object):
    made = [row["metadata"]["source_dataset"] for row in rows("train", 0, 200, families=families, level="2")]
    assert set(made) == {"caesar", "clock"}
    assert 70 < made.count("clock") < 130


def test_tasks_do_not_depend_on_the_hash_seed():
    script = (
        "from nemo_gym.library.reasoning.reasoning.environment import Reasoning\n"
        "for level in range(5):\n"
        "    for task in Reasoning({'level': level}).tasks('train', 0, 30): print(task)"
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert printed[0] == printed[1] != b""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"families": "adition"}, "no family 'adition'. Did you mean 'addition'?"),
        ({"families": ""}, "no family ''"),
        ({"families": []}, "name at least one, or say all"),
        ({"level": 5}, "level"),
        ({"levels": 1}, "settings: families, level"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, object], said: str):
    with pytest.raises(UsageError) as error:
        rows("train", 0, 1, **config)
    assert said in str(error.value)


def test_an_unknown_split_is_refused():
    with pytest.raises(UsageError, match="it has example, test, train, validation"):
        rows("tests", 0, 1)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metadata": {"source_dataset": "sudoku"}}, "Did you mean 'sudoku4'"),
        ({"metadata": {}}, "metadata.source_dataset None is no family"),
        ({"answer": "seven"}, "answer 'seven' is not a right one for the family addition"),
        ({"metadata": {"source_dataset": "countdown"}, "answer": "1 + 2"}, "metadata does not fit"),
        (
            {"metadata": {"source_dataset": "n_queens", "placed": 5}, "answer": "1, 2"},
            "metadata does not fit",
        ),
    ],
)
def test_a_row_that_can_not_be_scored_is_refused(change: dict[str, object], said: str):
    row = {**row_of(FAMILIES["addition"], problems("addition", 0, 1)[0]), **change}
    with pytest.raises(EnvironmentFault) as error:
        play(ENVIRONMENT, row, "7")
    assert said in str(error.value)


def test_the_extracted_answer_is_kept_for_majority_voting():
    row = row_of(FAMILIES["addition"], Problem("What is 3 + 4?", "7", {}))
    assert play(ENVIRONMENT, row, "3 + 4 = 7.").details == {"extracted_answer": "7"}
    assert play(ENVIRONMENT, row, "who knows").details == {"extracted_answer": None}


@pytest.mark.parametrize("golden", ENVIRONMENT.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden):
    assert play_golden(ENVIRONMENT, golden).value == expected_reward(ENVIRONMENT, golden)


# Denials, and rows of the library


@EVERY_FAMILY
@pytest.mark.parametrize(
    "text",
    [
        "The answer is not: {}",
        "The answer isn't: {}",
        "The wrong answer is {}",
        "It is anything but: {}",
        "not {}",
        "<answer>not {}</answer>",
        "<answer>the answer is not: {}</answer>",
        "It can't be that the answer is {}",
        "The answer cannot be: {}",
        "no: {}",
        "{} or {other}",
        "{other} or {}",
        "{other}; {}",
    ],
)
def test_q11_a_denied_answer_or_two_of_them_earn_nothing(family: Family, text: str):
    problem, *rest = problems(family.name, 0, 8)
    other = next((one.answer for one in rest if one.answer != problem.answer), "0")
    assert score(family.name, problem, text.format(problem.answer, other=other)) == 0.0


@EVERY_FAMILY
def test_a_denial_in_an_earlier_sentence_says_nothing_of_the_answer(family: Family):
    (problem,) = problems(family.name, 0, 1)
    assert score(family.name, problem, f"That isn't trivial. The answer is: {problem.answer}") == 1.0
    assert score(family.name, problem, f"It was never easy\nAnswer: {problem.answer}") == 1.0


def test_not_may_be_an_operator_before_the_answer():
    row = {"question": "?", "answer": "False", "metadata": {"source_dataset": "boolean", "level": 0}}
    assert play(ENVIRONMENT, row, "not True or False = False").value == 1.0
    assert play(ENVIRONMENT, row, "not True or False is not: False").value == 0.0


LIBRARY_ROW: Row = {
    "responses_create_params": {"input": [{"role": "user", "content": "Who is what?"}]},
    "question": "Who is what?",
    "answer": "Ann is a fool, and Bob is a sage.",
    "metadata": {"source_dataset": "knights_knaves", "source_index": 0, "difficulty": {"n_people": 2}},
}


@pytest.mark.parametrize(
    ("text", "reward"),
    [
        ("<answer>Ann is a fool, and Bob is a sage.</answer>", 1.0),
        ("<answer>Bob is a sage and Ann is a fool</answer>", 1.0),
        ("\\boxed{\\text{Ann is a fool, and Bob is a sage}}", 1.0),
        ("I think.\nAnswer: Ann is a fool, and Bob is a sage.", 1.0),
        ("Ann is a fool, and Bob is a sage.", 1.0),
        ("<answer>Ann is a sage, and Bob is a fool.</answer>", 0.0),
        ("<answer>Ann is a fool, Bob is a sage, Ann is a sage, and Bob is a fool.</answer>", 0.0),
        ("<answer>It is not so that Ann is a fool, and Bob is a sage.</answer>", 0.0),
        ("<answer>__import__('os')</answer>", 0.0),
        ("", 0.0),
    ],
)
def test_rows_of_the_library_are_compared_with_their_answer(text: str, reward: float):
    assert play(ENVIRONMENT, LIBRARY_ROW, text).value == reward


def test_a_row_of_the_library_may_have_a_family_of_any_name_but_needs_an_answer():
    unknown = {**LIBRARY_ROW, "answer": "12", "metadata": {"source_dataset": "no_such", "source_index": 3}}
    assert play(ENVIRONMENT, unknown, "<answer>12.0</answer>").value == 1.0
    assert play(ENVIRONMENT, unknown, "<answer>12.01</answer>").value == 0.0
    assert play_oracle(ENVIRONMENT, unknown).value == 1.0
    with pytest.raises(TaskUnfit, match="answer is empty"):
        play(ENVIRONMENT, {**unknown, "answer": None}, "12")
