"""The environment tetris."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nemo_gym.library.games.tetris.board import MOVES, Board, Piece, make_board
from nemo_gym.library.games.tetris.environment import MOVES_AN_ANSWER, Tetris, moves_in
from nemo_gym.library.games.tetris.search import shortest_line
from nemo_gym.wire.errors import RolloutError
from tests.library.episodes import check_recorded, play_episode, total
from tests.library.replaying import rows


def tags(*moves: str) -> str:
    return "".join(f"<action>{move}</action>" for move in moves)


@pytest.mark.parametrize("box_type", [1, 2, 3])
def test_the_oracle_clears_a_line_in_the_fewest_moves(box_type: int) -> None:
    environment = Tetris({"box_type": box_type})
    for row in rows(environment, n=10):
        board = make_board(random.Random(row["seed"]), 4, 4, box_type)
        observations, steps = play_episode(environment, row)
        assert (steps[-1].terminated, steps[-1].info["solved"]) == (True, True)
        assert len(steps) == len(shortest_line(board) or ())
        assert total(steps) == pytest.approx(10 * steps[-1].info["lines"] - 0.1 * len(steps))
        assert total(steps) >= 0
        assert observations[-1].endswith("A line is cleared.")


def test_known_cases_and_hacks_earn_what_they_should() -> None:
    assert len(check_recorded(Tetris())) >= 9


def test_no_game_comes_twice() -> None:
    seeds = [row["seed"] for split in ("train", "test") for row in rows(Tetris(), split, 30)]
    assert len(set(seeds)) == 60


def board(text: str, piece: Piece, *following: Piece) -> Board:
    lines = text.split("/")
    full = {(x, y) for y, line in enumerate(lines) for x, token in enumerate(line) if token == "#"}
    return Board(len(lines[0]), len(lines), frozenset(full), piece, following)


DOT, PAIR = ((0, 0),), ((0, 0), (0, -1))


@pytest.mark.parametrize(
    ("before", "moves", "after"),
    [
        (board("___/___/___", Piece(DOT, 0), Piece(DOT, 2)), ["Down"], "_ _ _/X _ _/_ _ _"),
        (board("___/___/___", Piece(DOT, 0), Piece(DOT, 2)), ["Down", "Down"], "_ _ X/_ _ _/# _ _"),
        (board("___/___/___", Piece(DOT, 0), Piece(DOT, 2)), ["Left"], "X _ _/_ _ _/_ _ _"),
        (board("___/#__/#__", Piece(DOT, 1), Piece(DOT, 2)), ["Down", "Left"], "_ _ _/# X _/# _ _"),
        (board("___/___/_##", Piece(DOT, 0), Piece(DOT, 2)), ["Down", "Down"], "_ _ _/_ _ _/_ _ _"),
        (board("___/___/##_", Piece(PAIR, 2), Piece(DOT, 0)), ["Down", "Down"], "_ _ _/_ _ _/_ _ #"),
        (board("___/#__/#__", Piece(DOT, 1), Piece(DOT, 2)), ["Left"], "# _ _/# _ _/# _ _"),
    ],
)
def test_a_move_does_what_the_rules_say(before: Board, moves: list[str], after: str) -> None:
    for move in moves:
        before = before.after(move)
    assert before.text().replace("\n", "/") == after


def test_a_piece_that_stays_in_the_top_row_ends_the_game_without_a_line() -> None:
    end = board("___/#__/#__", Piece(DOT, 1), Piece(DOT, 2)).after("Left")
    assert (end.is_over, end.is_topped_out, end.lines) == (True, True, 0)


def test_two_lines_may_be_cleared_at_once() -> None:
    end = board("___/##_/##_", Piece(PAIR, 2), Piece(DOT, 0)).after("Down").after("Down")
    assert (end.is_over, end.lines, end.full) == (True, 2, frozenset())


def test_any_game_ends_and_keeps_to_the_reward_range() -> None:
    low, high = Tetris.reward_range
    for seed in range(30):
        rng = random.Random(seed)
        answers = [tags(*rng.choices(MOVES, k=rng.randint(0, 6))) for _ in range(100)]
        _, steps = play_episode(Tetris(), {"seed": seed, "box_type": 1 + seed % 3}, answers)
        assert steps[-1].terminated or steps[-1].truncated
        assert low - 1e-9 <= total(steps) <= high
        assert steps[-1].info["solved"] == (total(steps) >= 0)


def test_at_most_ten_moves_of_an_answer_count() -> None:
    assert moves_in(tags(*["Down"] * 12)) == ["Down"] * MOVES_AN_ANSWER
    assert moves_in("<action>Up</action><action> LEFT </action>") == ["Left"]


def test_a_row_goes_before_its_metadata_and_that_before_the_settings() -> None:
    row = {"seed": 1, "dim_x": 3, "metadata": {"dim_x": 5, "dim_y": 6, "other": 1}}
    observations, _ = play_episode(Tetris({"dim_y": 7, "max_steps": 9}), row, [""])
    lines = observations[0].splitlines()
    assert (len(lines[0].split()), len(lines) - 1, lines[-1]) == (3, 6, "Moves left: 9")


@pytest.mark.parametrize("change", [{"dim_x": 9}, {"box_type": 0}, {"seed": 1.5}, {"max_steps": 0}])
def test_a_row_that_makes_no_game_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RolloutError, match=next(iter(change))):
        play_episode(Tetris(), {"seed": 1, **change}, [""])
