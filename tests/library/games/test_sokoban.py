import asyncio
import os
import random
import subprocess
import sys
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.environments.base import Golden, Step
from nemo_gym.environments.conformance.check import check_environment
from nemo_gym.environments.conformance.hostile import HOSTILE_TEXTS
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.environments.seeded_games import SPLITS
from nemo_gym.library.games.sokoban.environment import MOVES_AN_ANSWER, Sokoban, moves_in, prompt
from nemo_gym.library.games.sokoban.generation import make_room
from nemo_gym.library.games.sokoban.room import MOVES, Room, read_room
from nemo_gym.library.games.sokoban.search import shortest_solution
from nemo_gym.wire.errors import EnvironmentFault, UsageError
from nemo_gym.wire.items import assistant, message_text
from nemo_gym.wire.params import check_params, input_items
from nemo_gym.wire.response import Response
from nemo_gym.wire.task import Row, task_to_row

ENVIRONMENT = Sokoban()
ONE_PUSH = """
# # # # # #
# _ _ _ _ #
# P X O _ #
# _ _ _ _ #
# _ _ _ _ #
# # # # # #"""


def tags(*moves: str) -> str:
    return "".join(f"<action>{move}</action>" for move in moves)


def play(
    row: Row, answers: list[str] | None, *, repeat: int = 0, environment: Sokoban = ENVIRONMENT
) -> tuple[list[str], list[Step]]:
    """What was shown, and the steps, of an episode; without answers the oracle's."""
    return asyncio.run(_play(LocalEnvironment(environment), row, answers, repeat))


async def _play(
    link: LocalEnvironment, row: Row, answers: list[str] | None, repeat: int
) -> tuple[list[str], list[Step]]:
    async with link.session({**row, "_ng_task_index": 0, "_ng_rollout_index": repeat}) as session:
        shown = [(await link.reset(session)).text or ""]
        steps: list[Step] = []
        for number in range(link.max_steps):
            if answers is None:
                action = link.environment.oracle(session.task, session)
            else:
                action = [assistant(answers[number])] if number < len(answers) else None
            if action is None:
                break
            steps.append(await link.step(session, Response.of(action)))
            shown.append(steps[-1].observation or "")
            await asyncio.sleep(0)
            if steps[-1].terminated or steps[-1].truncated:
                break
        return shown, steps


def reward(row: Row, answers: list[str] | None) -> float:
    return sum(step.reward for step in play(row, answers)[1])


def rows(split: str, seed: int, n: int | None, **config: object) -> list[Row]:
    return [task_to_row(task) for task in Sokoban(config).tasks(split, seed, n)]


def test_it_keeps_every_promise_of_an_environment():
    report = asyncio.run(check_environment(Sokoban))
    assert [result for result in report.results if not result.passed] == []


@pytest.mark.parametrize("golden", ENVIRONMENT.golden(), ids=lambda golden: golden.name)
def test_known_cases_earn_what_they_should(golden: Golden):
    low, high = ENVIRONMENT.reward_range
    meanings = {"full_reward": high, "zero_reward": low, "malformed": low}
    answers = [message_text(item) for item in golden.output]
    shown, steps = play(golden.task, answers)
    expected = meanings.get(golden.kind, golden.expected_reward)
    assert sum(step.reward for step in steps) == pytest.approx(expected), shown[-1]
    assert len(steps) == len(answers)


# Rooms

SIZES = st.tuples(st.integers(5, 8), st.integers(4, 8), st.integers(1, 3)).filter(
    lambda size: size[2] <= (size[0] - 2) * (size[1] - 2) // 4
)


@given(seed=st.integers(0, 10**9))
def test_every_default_room_is_solved_by_its_shortest_solution(seed: int):
    room = make_room(random.Random(seed), 6, 6, 1)
    assert not room.boxes & room.targets
    for move in shortest_solution(room) or ():
        assert not room.solved
        room = room.after(move)
    assert room.solved


@settings(max_examples=40)
@given(seed=st.integers(0, 10**9), size=SIZES)
def test_rooms_of_every_size_can_be_solved(seed: int, size: tuple[int, int, int]):
    room = make_room(random.Random(seed), *size)
    assert (room.width, room.height, len(room.boxes)) == size
    assert read_room(room.text()) == room
    assert len(room.boxes) > 2 or shortest_solution(room, limit=50_000)


@settings(max_examples=5)
@given(seed=st.integers(0, 10**9))
def test_crowded_rooms_can_be_solved(seed: int):
    assert shortest_solution(make_room(random.Random(seed), 6, 6, 4), limit=50_000)


def test_rooms_vary_and_some_need_many_moves():
    rooms = [make_room(random.Random(seed), 6, 6, 1) for seed in range(100)]
    assert len(set(rooms)) == 100
    assert max(len(shortest_solution(room) or ()) for room in rooms) > 10


@given(seed=st.integers(0, 10**9), moves=st.lists(st.sampled_from(MOVES), max_size=30))
def test_a_move_keeps_boxes_and_player_apart_and_on_the_floor(seed: int, moves: list[str]):
    room = make_room(random.Random(seed), 6, 6, 2)
    for move in moves:
        before, room = room, room.after(move)
        assert room.boxes | {room.player} <= room.floor
        assert room.player not in room.boxes
        assert len(room.boxes) == 2
        assert len(room.boxes - before.boxes) <= 1


@pytest.mark.parametrize(
    ("before", "move", "after"),
    [
        ("#P_#", "Right", "#_P#"),
        ("#_P#", "Left", "#P_#"),
        ("#P_#", "Left", "#P_#"),
        ("#P_#", "Up", "#P_#"),
        ("#PX_#", "Right", "#_PX#"),
        ("#PXO#", "Right", "#_P√#"),
        ("#PX#", "Right", "#PX#"),
        ("#PXX_#", "Right", "#PXX_#"),
        ("#PO#", "Right", "#_S#"),
        ("#S_#", "Right", "#OP#"),
    ],
)
def test_a_move_does_what_the_rules_say(before: str, move: str, after: str):
    assert _corridor(before).after(move).text().splitlines()[1].replace(" ", "") == after


def _corridor(row: str) -> Room:
    def where(tokens: str) -> frozenset[int]:
        return frozenset(place for place, token in enumerate(row, start=len(row)) if token in tokens)

    return Room(len(row), 3, where("_OXPS√"), where("OS√"), where("X√"), min(where("PS")))


def test_a_room_that_can_not_be_solved_has_no_solution():
    assert (
        shortest_solution(read_room(ONE_PUSH.replace("P X O _", "P _ O _").replace("_ _ _ _", "X _ _ _", 1)))
        is None
    )


def test_a_search_gives_up_at_its_limit():
    room = make_room(random.Random(0), 12, 12, 4)
    assert shortest_solution(room, limit=500) is None


@pytest.mark.parametrize(
    ("drawing", "said"),
    [
        ("", "0 by 0"),
        ("####\n###", "differ in length"),
        (ONE_PUSH.replace("P", "p"), "unknown token 'p'"),
        (ONE_PUSH.replace("P", "_"), "one player; it has 0"),
        (ONE_PUSH.replace("_", "P", 1), "one player; it has 2"),
        (ONE_PUSH.replace("X", "_"), "1 to 4 boxes; it has 0"),
        (ONE_PUSH.replace("O", "_"), "it has 0 and 1"),
        (ONE_PUSH.replace("X", "√"), "it has 2 and 1"),
        (ONE_PUSH.replace("X", "√").replace("O", "_"), "stands on a target from the start"),
        (ONE_PUSH.replace("#", "_", 1), "not walled in"),
        ("\n".join(["#" * 13] * 4), "13 by 4"),
        ("#" * 10_000, "characters"),
    ],
)
def test_a_drawing_that_is_no_room_is_refused(drawing: str, said: str):
    with pytest.raises(EnvironmentFault, match="room: ") as error:
        play({"room": drawing}, [""])
    assert said in str(error.value)


# Answers


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("<action>Up</action>", ["Up"]),
        ("I go <action> left </action> and then <action>DOWN</action>.", ["Left", "Down"]),
        ("<action>Up</action>" * 12, ["Up"] * MOVES_AN_ANSWER),
        ("<think><action>Up</action></think><action>Down</action>", ["Down"]),
        ("<action>Jump</action><action>Right</action>", ["Right"]),
        ("<action>Up", []),
        ("Up", []),
        ("<action>Up, Down</action>", []),
        ("", []),
    ],
)
def test_moves_are_read_from_complete_tags_in_their_order(text: str, moves: list[str]):
    assert moves_in(text) == moves


@given(st.text(max_size=60) | st.text("<>/actionUpDown \n", max_size=80))
def test_an_answer_is_at_most_its_limit_of_known_moves(text: str):
    moves = moves_in(text)
    assert len(moves) <= MOVES_AN_ANSWER
    assert set(moves) <= set(MOVES)


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_text_without_a_move_costs_one_move_and_changes_nothing(text: str):
    shown, (step,) = play({"seed": 1}, [text])
    assert (step.reward, step.terminated, step.truncated) == (-0.1, False, False)
    assert step.info == {"solved": False, "moves": 1}
    assert shown[1].startswith("There was no move in the answer")
    assert shown[1].splitlines()[1:7] == shown[0].splitlines()[:6]


# Episodes


def test_solving_ends_the_episode_and_pays_for_the_box_and_the_room():
    shown, (step,) = play({"room": ONE_PUSH}, [tags("Right")])
    assert step.reward == pytest.approx(10.9)
    assert (step.terminated, step.truncated, step.info) == (True, False, {"solved": True, "moves": 1})
    assert shown[1].splitlines()[2] == "# _ P √ _ #"


def test_a_box_pushed_off_its_target_takes_its_reward_back():
    two = ONE_PUSH.replace("_ _ _ _", "_ _ _ O", 1).replace("_ _ _ _", "_ X _ _", 1)
    _, (on, off) = play({"room": two, "max_steps": 9}, [tags("Right"), tags("Right")])
    assert (on.reward, off.reward) == pytest.approx((0.9, -1.1))


def test_an_episode_is_cut_off_at_its_limit_of_moves():
    _, steps = play(
        {"room": ONE_PUSH, "max_steps": 5}, [tags("Up", "Down", "Up"), tags("Down", "Up", "Down"), "?"]
    )
    assert [(step.terminated, step.truncated) for step in steps] == [(False, False), (False, True)]
    assert steps[-1].info == {"solved": False, "moves": 5}
    assert sum(step.reward for step in steps) == pytest.approx(-0.5)


def test_solving_with_the_last_move_is_an_end_and_not_a_cut():
    _, (step,) = play({"room": ONE_PUSH, "max_steps": 1}, [tags("Right")])
    assert (step.terminated, step.truncated) == (True, False)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 10**9),
    answer=st.lists(st.sampled_from([*MOVES, "Jump"]), max_size=6).map(lambda moves: tags(*moves)),
)
def test_an_episode_ends_whatever_is_answered_and_its_reward_is_in_range(seed: int, answer: str):
    _, steps = play({"seed": seed, "num_boxes": 2}, [answer] * 200)
    assert steps[-1].terminated or steps[-1].truncated
    assert len(steps) <= ENVIRONMENT.max_steps
    total, moves = sum(step.reward for step in steps), steps[-1].info["moves"]
    low, high = ENVIRONMENT.reward_range
    assert low - 1e-9 <= total <= high
    boxes = (total + 0.1 * moves) - (10 if steps[-1].info["solved"] else 0)
    assert boxes == pytest.approx(round(boxes), abs=1e-6)
    assert 0 <= round(boxes) <= 2


# The oracle


def test_the_oracle_solves_every_room_in_the_fewest_moves():
    for row in rows("train", 0, 40):
        room = make_room(random.Random(row["seed"]), 6, 6, 1)
        least = len(shortest_solution(room) or ())
        _, steps = play(row, None)
        assert steps[-1].terminated
        assert len(steps) == least
        assert sum(step.reward for step in steps) == pytest.approx(11 - 0.1 * least)


def test_the_oracle_says_nothing_where_its_search_ends_without_a_solution():
    stuck = ONE_PUSH.replace("P X O _", "P _ O _").replace("_ _ _ _", "X _ _ _", 1)
    assert play({"room": stuck}, None)[1] == []


# Seeds and settings


@pytest.mark.parametrize("row", [{"seed": 7}, {"seed": "seven"}, {"metadata": {"seed": 7}}])
def test_every_repeat_of_a_task_meets_the_same_room(row: Row):
    assert play(row, [""], repeat=0) == play(row, [""], repeat=1)


def test_without_a_seed_each_repeat_has_its_own_room_which_is_the_same_when_run_again():
    made = [play({}, [""], repeat=repeat)[0][0] for repeat in range(10)]
    assert len(set(made)) > 5
    assert made == [play({}, [""], repeat=repeat)[0][0] for repeat in range(10)]


def test_a_row_goes_before_its_metadata_and_that_before_the_settings():
    environment = Sokoban({"dim_x": 7, "dim_y": "8", "num_boxes": 2, "max_steps": 9})
    row = {"seed": 1, "dim_x": 5, "metadata": {"dim_x": 9, "num_boxes": 1, "unknown": 0}}
    lines = play(row, [""], environment=environment)[0][0].splitlines()
    assert (len(lines[0].split()), len(lines) - 1) == (5, 8)
    assert "".join(lines).count("X") == 1
    assert lines[-1] == "Moves left: 9"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"seed": 1.5}, "seed"),
        ({"seed": None, "metadata": {"seed": [1]}}, "seed"),
        ({"num_boxes": 5}, "num_boxes"),
        ({"dim_x": 13}, "dim_x"),
        ({"dim_y": "6"}, "dim_y"),
        ({"max_steps": 101}, "max_steps"),
        ({"max_steps": 0}, "max_steps"),
        ({"dim_x": 5, "dim_y": 5, "num_boxes": 3}, "5 by 5 cells are too few (boxes: 3)"),
    ],
)
def test_a_row_that_makes_no_room_is_refused(row: Row, said: str):
    with pytest.raises(EnvironmentFault) as error:
        play({"seed": 1, **row}, [""])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"num_boxes": 5}, "num_boxes"),
        ({"dim_x": 4, "dim_y": 4}, "4 by 4 cells are too few (boxes: 1)"),
        ({"boxes": 2}, "settings: dim_x, dim_y, num_boxes, max_steps"),
    ],
)
def test_a_wrong_setting_is_named(config: dict[str, object], said: str):
    with pytest.raises(UsageError) as error:
        rows("train", 0, 1, **config)
    assert said in str(error.value)


def test_rooms_do_not_depend_on_those_played_beside_them():
    answer = tags("Up", "Left", "Down", "Right")

    async def crowd() -> list[tuple[list[str], list[Step]]]:
        link = LocalEnvironment(ENVIRONMENT)
        return await asyncio.gather(
            *(_play(link, {"seed": seed % 5}, [answer] * 5, seed) for seed in range(20))
        )

    assert asyncio.run(crowd()) == [play({"seed": seed % 5}, [answer] * 5) for seed in range(20)]


def test_tasks_and_rooms_do_not_depend_on_the_hash_seed():
    script = (
        "import random\n"
        "from nemo_gym.library.games.sokoban.environment import Sokoban\n"
        "from nemo_gym.library.games.sokoban.generation import make_room\n"
        "from nemo_gym.library.games.sokoban.search import shortest_solution\n"
        "for task in Sokoban().tasks('train', 0, 20):\n"
        "    room = make_room(random.Random(task.seed), 7, 6, 2)\n"
        "    print(task.seed, ascii(room.text()), shortest_solution(room))"
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


# Tasks


def test_a_task_is_the_same_however_many_are_asked_for():
    assert rows("train", 3, 10) == rows("train", 3, 30)[:10]
    assert rows("train", 3, 10) != rows("train", 4, 10)


def test_no_seed_is_in_two_splits():
    seeds = [row["seed"] for split in SPLITS for row in rows(split, 0, 300)]
    assert len(set(seeds)) == len(seeds)


def test_tasks_are_made_when_they_are_read():
    assert next(iter(ENVIRONMENT.tasks("train", 0, 10**9))).task_id == "train-0-0"
    assert sum(1 for _ in zip(count(), ENVIRONMENT.tasks("train", 0, None), strict=False)) == 100


def test_a_generated_task_plays_the_same_under_other_settings():
    row = rows("train", 0, 1, dim_x=8, max_steps=20)[0]
    assert play(row, [""]) == play(row, [""], environment=Sokoban({"num_boxes": 3}))


def test_the_prompt_tells_the_rules_once_and_how_many_moves_there_are():
    row = rows("example", 0, 1, max_steps=30)[0]
    (message,) = input_items(check_params(row["responses_create_params"]))
    assert message["content"] == prompt(30)
    shown, _ = play(row, [""])
    assert "You have 30 moves." in prompt(30)
    assert not any("You play Sokoban" in text for text in shown)


def test_an_unknown_split_is_refused():
    with pytest.raises(UsageError, match="it has train, validation, example, test"):
        ENVIRONMENT.tasks("tests", 0, 1)
