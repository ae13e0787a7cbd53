"""Families with several right answers, all of which the checker accepts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, pairwise

from nemo_gym.library.reasoning.reasoning.answers import assignment, expression, grid, numbers, route
from nemo_gym.library.reasoning.reasoning.problem import Facts, Families, Problem, listing

FAMILIES = Families()

COLOURS = ("red", "green", "blue")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def reaches_target(given: str, facts: Facts) -> bool:
    """Whether an expression uses each number once and its value is the target."""
    tokens = given.split()
    used = [int(token) for token in tokens if token.isdigit()]
    return sorted(used) == sorted(facts["numbers"]) and evaluate(tokens) == facts["target"]


@FAMILIES.add(reply="the expression", measure="numbers to use", read=expression, accepts=reaches_target)
def countdown(rng: random.Random, level: int) -> Problem:
    """Numbers to combine to a target; each is used exactly once."""
    count = level + 2
    chosen = [rng.randint(1, 9 if level < 2 else 25) for _ in range(count)]
    text, target = _combine(rng, chosen)
    terms = sorted(chosen)
    question = (
        f"Make {target} from the numbers {listing(terms)}: use each exactly once, with + - * / and brackets."
    )
    return Problem(question, text, {"hardness": count, "numbers": terms, "target": target})


def evaluate(tokens: Sequence[str]) -> Fraction | None:
    """The exact value of an infix expression; None when it is malformed or divides by zero."""
    values: list[Fraction] = []
    waiting: list[str] = []
    value_expected = True
    for token in [*tokens, _END]:
        if token == "(" or token.isdigit():
            if not value_expected:
                return None
            if token == "(":
                waiting.append(token)
            else:
                values.append(Fraction(int(token)))
                value_expected = False
            continue
        if value_expected:
            return None
        while waiting and waiting[-1] != "(" and _BINDING[waiting[-1]] >= _BINDING[token]:
            if not _apply(waiting.pop(), values):
                return None
        if token == _END:
            return None if waiting else values[0]
        if token != ")":
            waiting.append(token)
            value_expected = True
        elif waiting:
            waiting.pop()
        else:
            return None
    return None


def adds_up(given: str, facts: Facts) -> bool:
    """Whether these are different numbers of the list that add up to the target."""
    chosen = [int(token) for token in given.split()]
    return (
        len(set(chosen)) == len(chosen)
        and set(chosen) <= set(facts["numbers"])
        and sum(chosen) == facts["target"]
    )


@FAMILIES.add(
    reply="the numbers, separated by commas", measure="numbers to choose from", read=numbers, accepts=adds_up
)
def subset_sum(rng: random.Random, level: int) -> Problem:
    """Numbers of a list that add up to a target; any such choice is right."""
    count = (3, 5, 8, 12, 16)[level]
    values = rng.sample(range(1, (10, 30, 60, 100, 200)[level]), count)
    size = 2 if level == 0 else rng.randint(2, count // 2 + 1)
    chosen = rng.sample(values, size)
    target = sum(chosen)
    if target in values:
        return subset_sum(rng, level)
    question = f"Which of the numbers {listing(values)} add up to {target}? Use each at most once."
    facts = {"hardness": count, "numbers": values, "target": target}
    return Problem(question, ", ".join(map(str, chosen)), facts)


@FAMILIES.add(reply="the four full rows", measure="blanks", read=grid)
def sudoku4(rng: random.Random, level: int) -> Problem:
    """A 4x4 sudoku with exactly one solution."""
    blanks = (1, 4, 6, 8, 10)[level]
    while True:
        solution = _sudoku_solution(rng)
        puzzle = solution
        for cell in rng.sample(range(16), 16):
            harder = f"{puzzle[:cell]}_{puzzle[cell + 1 :]}"
            if harder.count("_") <= blanks and len(list(sudoku_solutions(harder))) == 1:
                puzzle = harder
        if puzzle.count("_") == blanks:
            break
    question = (
        "Fill the blanks so that every row, every column and every 2x2 corner block has each of 1 2 3 4:\n"
        + _rows(puzzle)
    )
    return Problem(question, _rows(solution), {"hardness": blanks, "puzzle": puzzle})


def sudoku_solutions(puzzle: str) -> Iterator[str]:
    """Every way to fill the blanks (`_`) of a 4x4 sudoku written as 16 characters."""
    cell = puzzle.find("_")
    if cell < 0:
        yield puzzle
        return
    for digit in "1234":
        if not any(puzzle[peer] == digit for peer in _PEERS[cell]):
            yield from sudoku_solutions(f"{puzzle[:cell]}{digit}{puzzle[cell + 1 :]}")


def queens_are_safe(given: str, facts: Facts) -> bool:
    """Whether the columns, row by row, keep the fixed queens, and no queen attacks another."""
    columns = [int(token) for token in given.split()]
    placed: list[int] = facts["placed"]
    return (
        len(columns) == len(placed)
        and all(1 <= column <= len(placed) for column in columns)
        and all(fixed in (0, column) for fixed, column in zip(placed, columns, strict=True))
        and all(_safe(columns[:row], columns[row]) for row in range(len(columns)))
    )


@FAMILIES.add(
    reply="the column numbers, separated by commas", measure="queens", read=numbers, accepts=queens_are_safe
)
def n_queens(rng: random.Random, level: int) -> Problem:
    """Queens on a board that already has some; any board in which none attacks another is right."""
    size = level + 5
    columns = next(_queens(rng, size, []))
    fixed = sorted(rng.sample(range(size), (3, 3, 3, 2, 2)[level]))
    placed = [columns[row] + 1 if row in fixed else 0 for row in range(size)]
    places = ", ".join(f"row {row + 1} in column {columns[row] + 1}" for row in fixed)
    question = (
        f"Place {size} queens on a {size}x{size} board, one in each row, so that no two share a column or a "
        f"diagonal. Fixed are {places}. In which columns are the queens of rows 1 to {size}?"
    )
    answer = ", ".join(str(column + 1) for column in columns)
    return Problem(question, answer, {"hardness": size, "placed": placed})


def is_proper_colouring(given: str, facts: Facts) -> bool:
    """Whether every letter has one of the colours, and the ends of each edge have different ones."""
    colours = _pairs(given)
    return (
        sorted(colours) == sorted(facts["nodes"])
        and all(colour in COLOURS for colour in colours.values())
        and all(colours[a] != colours[b] for a, b in facts["edges"])
    )


@FAMILIES.add(
    reply="a list like A=red, B=blue",
    measure="letters to colour",
    read=assignment,
    accepts=is_proper_colouring,
)
def graph_colouring(rng: random.Random, level: int) -> Problem:
    """A graph to colour with three colours; any colouring is right in which the ends of each edge differ."""
    count = (3, 5, 6, 8, 10)[level]
    nodes = sorted(rng.sample(LETTERS, count))
    colours_of = {node: rng.choice(COLOURS) for node in nodes}
    possible = [[a, b] for a, b in combinations(nodes, 2) if colours_of[a] != colours_of[b]]
    if len(possible) < 2:
        return graph_colouring(rng, level)
    edges = sorted(rng.sample(possible, max(2, len(possible) * 2 // 3)))
    joints = ", ".join(f"{a}-{b}" for a, b in edges)
    question = (
        f"Colour each of {', '.join(nodes)} red, green or blue so that joined letters differ in colour. "
        f"Joined are {joints}."
    )
    answer = ", ".join(f"{node}={colour}" for node, colour in colours_of.items())
    return Problem(question, answer, {"hardness": count, "nodes": nodes, "edges": edges})


def is_shortest(given: str, facts: Facts) -> bool:
    """Whether a route has the right start and end, uses roads that exist, and is as short as possible."""
    stops = given.split()
    distances = {frozenset((a, b)): distance for a, b, distance in facts["roads"]}
    legs = [distances.get(frozenset(leg)) for leg in pairwise(stops)]
    return (
        stops[0] == facts["start"]
        and stops[-1] == facts["goal"]
        and None not in legs
        and sum(leg or 0 for leg in legs) == facts["length"]
    )


@FAMILIES.add(reply="the letters along it, like A-B-C", measure="places", read=route, accepts=is_shortest)
def shortest_path(rng: random.Random, level: int) -> Problem:
    """A shortest route through a network of roads; any route of that length is right."""
    count = (3, 5, 6, 8, 10)[level]
    nodes = rng.sample(LETTERS, count)
    pairs = {_sorted_pair(nodes[i], rng.choice(nodes[:i])) for i in range(1, count)}
    others = [pair for pair in combinations(sorted(nodes), 2) if pair not in pairs]
    pairs |= set(rng.sample(others, min(len(others), count - 1)))
    roads = [(a, b, rng.randint(1, 9)) for a, b in sorted(pairs)]
    start = rng.choice(nodes)
    routes = shortest_routes(roads, start)
    goal = max(nodes, key=lambda node: len(routes[node][1]))
    length, path = routes[goal]
    distances = ", ".join(f"{a}-{b} {distance}" for a, b, distance in roads)
    question = f"Roads with their lengths: {distances}. What is the shortest way from {start} to {goal}?"
    facts = {
        "hardness": count,
        "roads": [list(road) for road in roads],
        "start": start,
        "goal": goal,
        "length": length,
    }
    return Problem(question, "-".join(path), facts)


def shortest_routes(roads: Sequence[tuple[str, str, int]], start: str) -> dict[str, tuple[int, list[str]]]:
    """Length and stops of a shortest route from `start` to every place it leads to."""
    best: dict[str, tuple[int, list[str]]] = {start: (0, [start])}
    one_way = [*roads, *((b, a, distance) for a, b, distance in roads)]
    changed = True
    while changed:
        changed = False
        for a, b, distance in one_way:
            if a in best and (b not in best or best[a][0] + distance < best[b][0]):
                best[b] = (best[a][0] + distance, [*best[a][1], b])
                changed = True
    return best


def digits_fit(given: str, facts: Facts) -> bool:
    """Whether the letters have different digits, no number starts with 0, and the sum is right."""
    digits = _pairs(given)
    terms: list[str] = facts["terms"]
    if set(digits) != set("".join(terms)) or not all(digit.isdigit() for digit in digits.values()):
        return False
    values = ["".join(digits[letter] for letter in term) for term in terms]
    first, second, total = map(int, values)
    leading_zero = any(term[0] == "0" for term in values)
    return len(set(digits.values())) == len(digits) and not leading_zero and first + second == total


@FAMILIES.add(reply="a list like A=1, B=2", measure="letters in the sum", read=assignment, accepts=digits_fit)
def cryptarithm(rng: random.Random, level: int) -> Problem:
    """A sum in letters; any digits that make it true are right."""
    low = 10**level
    a, b = rng.randrange(low, 10 * low), rng.randrange(low, 10 * low)
    used = sorted(set(f"{a}{b}{a + b}"))
    letters = dict(zip(used, rng.sample(LETTERS, len(used)), strict=True))
    terms = ["".join(letters[digit] for digit in str(value)) for value in (a, b, a + b)]
    question = (
        f"In {terms[0]} + {terms[1]} = {terms[2]} each letter stands for a different digit, and no number "
        "starts with 0. Find digits that fit."
    )
    answer = ", ".join(sorted(f"{letter}={digit}" for digit, letter in letters.items()))
    return Problem(question, answer, {"hardness": sum(map(len, terms)), "terms": terms})


_END = "end"
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, ")": 0, _END: 0}
_SIGNS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
}
_PEERS = [
    [
        peer
        for peer in range(16)
        if peer != cell
        and (
            peer // 4 == cell // 4
            or peer % 4 == cell % 4
            or (peer // 8 == cell // 8 and peer % 4 // 2 == cell % 4 // 2)
        )
    ]
    for cell in range(16)
]


def _apply(sign: str, values: list[Fraction]) -> bool:
    right, left = values.pop(), values.pop()
    if sign == "/" and right == 0:
        return False
    values.append(_SIGNS[sign](left, right))
    return True


def _combine(rng: random.Random, chosen: list[int]) -> tuple[str, int]:
    parts = [(str(value), value) for value in chosen]
    while len(parts) > 1:
        (left_text, left), (right_text, right) = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
        signs = ["+"] + ["-"] * (left > right) + ["*"] * (left * right <= 200)
        signs += ["/"] * (right > 1 and left % right == 0)
        sign = rng.choice(signs)
        value = int(_SIGNS[sign](Fraction(left), Fraction(right)))
        parts.append((f"({left_text} {sign} {right_text})", value))
    text, value = parts[0]
    return text.removeprefix("(").removesuffix(")"), value


def _sudoku_solution(rng: random.Random) -> str:
    rows = [2 * band + row for band in rng.sample(range(2), 2) for row in rng.sample(range(2), 2)]
    columns = [2 * stack + column for stack in rng.sample(range(2), 2) for column in rng.sample(range(2), 2)]
    digits = rng.sample("1234", 4)
    return "".join(digits[(row % 2 * 2 + row // 2 + column) % 4] for row in rows for column in columns)


def _rows(cells: str) -> str:
    return "\n".join(" ".join(cells[start : start + 4]) for start in range(0, 16, 4))


def _queens(rng: random.Random, size: int, columns: list[int]) -> Iterator[list[int]]:
    if len(columns) == size:
        yield columns
        return
    for column in rng.sample(range(size), size):
        if _safe(columns, column):
            yield from _queens(rng, size, [*columns, column])


def _safe(above: Sequence[int], column: int) -> bool:
    row = len(above)
    return all(other != column and abs(other - column) != row - i for i, other in enumerate(above))


def _sorted_pair(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a < b else (b, a)


def _pairs(given: str) -> dict[str, str]:
    return dict(pair.split("=") for pair in given.split())
