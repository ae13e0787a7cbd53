"""The environment graphwalks."""

from __future__ import annotations

import pytest

from nemo_gym.library.long_context.graphwalks.environment import Graphwalks, nodes_at_depth
from nemo_gym.wire.errors import RolloutError
from tests.library.playing import play
from tests.library.replaying import check_golden, check_hacks, check_oracle_and_null, check_splits, rows


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_oracle_earns_all_and_a_refusal_nothing(level: int) -> None:
    check_oracle_and_null(Graphwalks({"level": level}), n=12)


def test_golden_cases_and_hacks_earn_what_they_should() -> None:
    check_golden(Graphwalks())
    check_hacks(Graphwalks())


def test_there_are_a_thousand_distinct_tasks() -> None:
    check_splits(Graphwalks())


def test_a_breadth_first_search_takes_the_shortest_paths() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "a")]
    assert [nodes_at_depth(edges, "a", depth) for depth in range(4)] == [{"a"}, {"b", "c"}, {"d"}, set()]


@pytest.mark.parametrize("answer", ["not JSON", "[1, 2]", '{"a": 1}', "\ud800"])
def test_a_row_without_a_list_of_names_is_refused(answer: str) -> None:
    row = rows(Graphwalks(), n=1)[0] | {"expected_answer": answer}
    with pytest.raises(RolloutError, match="expected_answer"):
        play(Graphwalks(), row, "Final Answer: []")


def test_a_list_is_as_good_as_its_text() -> None:
    row = rows(Graphwalks(), n=1)[0] | {"expected_answer": ["x", "y"]}
    assert play(Graphwalks(), row, "Final Answer: [y, x]").value == 1.0
