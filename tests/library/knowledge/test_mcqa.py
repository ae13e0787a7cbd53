from __future__ import annotations

from typing import Any

import pytest

from nemo_gym import Response
from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.knowledge.mcqa.environment import Mcqa
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import assistant
from tests.library.playing import expected_reward, play_golden

OPTIONS = [{"A": "iron"}, {"B": "helium"}]


async def reward(text: str, settings: dict[str, Any] | None = None, **fields: Any) -> float:
    row = {"responses_create_params": {"input": "?"}, "options": OPTIONS, "expected_answer": "B", **fields}
    link = LocalEnvironment(Mcqa(settings))
    async with link.session(row) as session:
        return (await link.verify(session, Response.of([assistant(text)]))).value


async def test_a_single_letter_in_the_last_box_is_expected_by_default() -> None:
    assert await reward("\\boxed{B}") == 1.0
    assert await reward("\\boxed{helium}") == 0.0
    assert await reward("B") == 0.0
    assert await reward("") == 0.0


async def test_the_row_chooses_the_mode_and_the_setting_overrides_it() -> None:
    assert await reward("Answer: B", grading_mode="lenient_answer_colon") == 1.0
    assert await reward("\\boxed{helium}", {"grading_mode": "lenient_boxed"}) == 1.0
    assert (
        await reward("Answer: B", {"grading_mode": "lenient_boxed"}, grading_mode="lenient_answer_colon")
        == 0.0
    )


async def test_the_data_sets_own_pattern_decides_first() -> None:
    pattern = {"template_metadata": {"output_regex": "choice: ([A-Z])"}}

    assert await reward("choice: B", **pattern) == 1.0
    assert await reward("choice: A, \\boxed{B}", **pattern) == 0.0
    assert await reward("choice: Z", **pattern) == 0.0


@pytest.mark.parametrize("pattern", ["((?:a+)+)$", "а*а*а*а*б", "[一-龥]*[一-龥]*[一-龥]*[一-龥]*q"])
async def test_a_pattern_that_hangs_elsewhere_is_run_in_linear_time(pattern: str) -> None:
    text = "а" * 3_000 + "!" + "a" * 3_000 + "!" + "字" * 3_000 + "\\boxed{B}"
    assert await reward(text, template_metadata={"output_regex": pattern}) == 1.0


@pytest.mark.parametrize(
    ("patterns", "reason"),
    [
        ("(?<=: )B", "look-around"),
        ([r"ok", r"(a)\1"], "back-references"),
        ("(", r"'\(' is not valid"),
        (["x"] * 1000, "at most 50"),
        (7, "Expected `str | array | null`, got `int`"),
        ([None], "Expected `str`, got `null`"),
    ],
)
async def test_a_pattern_that_can_not_be_used_is_an_error_of_the_row_before_any_answer(
    patterns: Any, reason: str
) -> None:
    with pytest.raises(TaskUnfit, match=rf"template_metadata\.output_regex: .*{reason}") as caught:
        await reward("choice: B", template_metadata={"output_regex": patterns})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "metadata", [{"weight": 0.125}, {"a": {"b": [1, None, True]}, "output_regex": None}, {}, None]
)
async def test_anything_else_in_the_metadata_passes(metadata: Any) -> None:
    assert await reward("\\boxed{B}", template_metadata=metadata) == 1.0


async def test_an_option_without_a_text_is_no_option() -> None:
    options = [{"A": "iron", "B": None}, {"C": "helium"}]
    assert await reward("\\boxed{B}", options=options) == 0.0
    assert await reward("\\boxed{C) helium}", options=options, expected_answer="C") == 1.0


@pytest.mark.parametrize(
    ("text", "mode", "right"),
    [
        ("\\boxed{The answer is B}", "lenient_boxed", 1.0),
        ("\\boxed{B iron}", "lenient_boxed", 0.0),
        ("\\boxed{B) is wrong}", "strict_single_letter_boxed", 0.0),
        ("Answer: iron (B)", "lenient_answer_colon", 0.0),
        ("Answer: anything but B", "lenient_answer_colon_md", 0.0),
    ],
)
async def test_q10_what_an_answer_denies_or_contradicts_is_not_paid(
    text: str, mode: str, right: float
) -> None:
    assert await reward(text, grading_mode=mode) == right


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("It isn't \\boxed{B}", "strict_single_letter_boxed"),
        ("\\boxed{B} is the wrong one", "lenient_boxed"),
        ("\\boxed{B}\nI changed my mind: A", "strict_single_letter_boxed"),
        ("Answer: B\n\nThat is not what I believe.", "lenient_answer_colon"),
        ("Answer: B maybe", "lenient_answer_colon_md"),
        ("Answer: any of B", "lenient_answer_colon_md"),
    ],
)
async def test_words_around_the_answer_that_deny_or_doubt_it_are_not_paid(text: str, mode: str) -> None:
    assert await reward(text, grading_mode=mode) == 0.0


@pytest.mark.parametrize("weight", [0.125, 0, -1, 1e308, "x", None, [], {}, True, [[1]]])
async def test_any_weight_passes(weight: Any) -> None:
    assert await reward("\\boxed{B}", template_metadata={"weight": weight, "output_regex": ""}) == 1.0


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ([{"A": "iron", "B": "helium"}], 1.0),
        ([{"a": "iron"}, {"b": "helium"}], 1.0),
        ([{"A": "iron"}, {"A": "gold"}, {"B": "helium"}], 1.0),
        ([{"A": ""}, {"B": ""}], 1.0),
        ([{"A": "iron"}, {"B": "iron"}], 1.0),
        ([{}], 0.0),
    ],
)
async def test_options_of_odd_shapes_are_read_by_their_letters(options: Any, value: float) -> None:
    assert await reward("\\boxed{B}", options=options) == value


@pytest.mark.parametrize("options", [{"A": "iron"}, [], None, ["iron"], [{"A": 1}], [{"A": ["x"]}]])
async def test_options_that_are_no_list_of_texts_do_not_fit(options: Any) -> None:
    with pytest.raises(TaskUnfit, match="options") as caught:
        await reward("\\boxed{B}", options=options)
    assert "\n" not in str(caught.value)


async def test_the_expected_letter_may_be_lower_case() -> None:
    assert await reward("\\boxed{B}", expected_answer="b") == 1.0


@pytest.mark.parametrize("case", list(Mcqa().golden()), ids=lambda case: case.name)
def test_golden_cases_earn_what_they_say(case: Any) -> None:
    assert play_golden(Mcqa(), case).value == expected_reward(Mcqa(), case)
