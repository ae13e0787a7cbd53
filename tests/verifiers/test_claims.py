"""What a text in plain English claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.claims import claimed_number, claims_only, denies, negates

RIVALS = ("rainy", "snowy", "foggy", "windy", "mild")


@pytest.mark.parametrize(
    "text",
    [
        "sunny",
        "Sunny!",
        "**Sunny**, light wind from the west.",
        "Today it is sunny.",
        "The weather in Lisbon is sunny, light wind from the west.",
        "It's sunny! You might want sunglasses. Don't forget water, and no umbrella is needed.",
        "It is sunny out in Lisbon.",
        "The answer is:\n\nSUNNY",
        "It's sunny in Lisbon, so you should bring sunscreen and it would be nice to swim. Anything else?",
        "In short: sunny, warm and pleasant. Feel free to ask for more options!",
        "It is sunny in Tromsø ☀️, 23 °C.",
        "☀️ **Weather:** sunny, light wind",
    ],
)
def test_a_text_that_says_the_value_claims_it(text: str) -> None:
    assert claims_only(text, "sunny", RIVALS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "It is raining.",
        "sunnyish, unsunny",
        "sunny, rainy, snowy, foggy, windy",
        "It is sunny. It is rainy.",
        "sunny or something else",
        "It is not sunny",
        "It isn't sunny.",
        "anything but sunny",
        "far from sunny",
        "It is never sunny",
        "Sunny? No.",
        "It is sunny. Or not.",
        "It is sunny. That is wrong.",
        "It is sunny. It isn't true.",
        "It is sunny. That's not right.",
        "It would be false to say sunny",
        "I doubt that it is sunny",
        "Maybe sunny",
        "Perhaps it is sunny.",
        "either sunny or not",
        "~~sunny~~",
        "sunny ❌",
        "sunny" + " word" * 2_000,
        "\0",
        "The weather is \0.",
    ],
)
def test_lists_denials_and_hedges_claim_nothing(text: str) -> None:
    assert not claims_only(text, "sunny", RIVALS)


@pytest.mark.parametrize(
    "text",
    [
        *("Is it sunny?", "Sunny?", "I wish it were sunny.", "It would have been sunny.", "Hopefully sunny"),
        *("It used to be sunny.", "It is too wet to be sunny.", "Sunny is what I was hoping for."),
        *("It is un-sunny.", "Sunny-free", "non-sunny", "!sunny", "sunny = 0", "0% sunny", "sunny: 50%"),
        *("[x] wet [ ] sunny", "<s>sunny</s>", "<del>sunny</del>", "Sunny, rain, snow, fog, wind."),
        *(
            "Sunny. It isn't.",
            "Sunny. It's not.",
            "Sunny? Far from it.",
            "Sunny? Negative.",
            "Sunny. Or not?",
        ),
        *("Sunny. I made that up.", "Sunny. On second thought: wet.", "Sunny. Scratch that, it pours."),
        *("Sunny. Correction: it pours.", "Sunny. Ignore that.", "Sunny. Disregard the previous sentence."),
        *("It is s\u00adunny, no\u200bt sunny", "It is n\u200dot sunny.", "It is n o t sunny."),
        *("It is ɴᴏᴛ sunny.", "It is nοt sunny.", "It is nоt sunny.", "It is ｎｏｔ sunny.", "𝐧𝐨𝐭 sunny"),
        *("Probably sunny.", "Assuming sunny", "Options: sunny, wet", "Possible: sunny", "Sunny vs. wet"),
        *("Random choice: sunny", "It is one of sunny and others", "Nowhere is it sunny.", "nicht sunny"),
        *(
            "The absence of sunny",
            "It is devoid of sunny.",
            "It is short of sunny.",
            "I decline to say sunny.",
        ),
        *("The opposite of sunny.", "Sunny is questionable.", "Sunny is missing.", "Allegedly sunny."),
    ],
)
def test_wishes_questions_retractions_and_hidden_words_claim_nothing(text: str) -> None:
    assert not claims_only(text, "sunny", RIVALS)


def test_a_value_in_other_letters_can_be_claimed() -> None:
    assert claims_only("Сегодня солнечно.", "солнечно", ["дождь"])
    assert claims_only("It is 5 ½ today.", "5 ½")


def test_a_rival_inside_the_value_is_the_value() -> None:
    assert claims_only("It is partly sunny.", "partly sunny", ["sunny"])
    assert not claims_only("It is partly sunny, or sunny.", "partly sunny", ["sunny"])
    assert claims_only("sunny", "sunny", ["sunny", ""])


def test_an_empty_value_is_never_claimed() -> None:
    assert not claims_only("sunny", "")
    assert not claims_only("", " ")


def test_denials_and_negations_are_told_apart() -> None:
    assert denies("that is wrong")
    assert not denies("it does not react")
    assert negates("it does not react")
    assert not negates("it reacts")


@given(st.text(alphabet="sunny or.!?not isn't\n", max_size=200), st.text(min_size=1, max_size=10))
def test_any_text_and_value_are_judged(text: str, value: str) -> None:
    claims_only(text, value, [text, value])


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(
            (text, "5")
            for text in ["5", "5.", " 5\n", "+5", "**5**", "$5$", r"\boxed{5}", "(5)", "`5`", "“5”"]
        ),
        *((text, "5") for text in ["The sum is 5.", "“5”", "Answer: 5", "x=5", "x = 5", "Sure! 5"]),
        *((text, "5") for text in ["2 + 3 = 5", "2+3=5", "2 + 3 equals 5", "5 + 0 = 5", "5\n5", "5 apples"]),
        *(("-5", "-5"), ("1.5", "1.5"), ("1,234", "1234"), ("<answer>5</answer>", "5")),
    ],
)
def test_one_number_is_claimed(text: str, number: str) -> None:
    assert claimed_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", "I don't know.", "4, 5", "4,5", "4 5", "4/5", "1-5", "4|5", "5 or 6", "4.\n5.", "④ 5", "４, 5"),
        *("2 3 4 5", "2 + 3", "2 + 3 = 5 = 6", "4 = 5", "a != 5", "5 - 1", "5%", "5e3", "5^2", "5x", ".5"),
        *("not 5", "It isn't 5.", "5, no, 6", "5 is wrong", "5. Wrong.", "~~5~~", "anything but 5"),
        *("5?", "Is it 5?", "maybe 5", "probably 5", "four or 5", "minus 5", "negative 5", "5 is a guess"),
        *("x <= 5", "about 5", "at least 5", "more than 5", "twice 5", "5 squared", "5 million", "5 times 2"),
        *("5 " * 3_000, "1+" * 2_000 + "1=5"),
    ],
)
def test_lists_of_numbers_denials_bounds_and_questions_claim_no_number(text: str) -> None:
    assert claimed_number(text) is None


LEADS = [
    "",
    "The report is here.",
    "It rains. Then it stops.  ",
    "Not this.",
    "That is wrong.",
    "No.",
    "Is it so? Maybe not.",
    "This is not true.",
    "It is rainy there.",
    "sunny.",
    "I have no doubt.",
    "I ruled it out.",
    "Scratch that.",
    "~~rain~~ It is fine.",
    "The following is not what I think:",
    "An error.",
    "I disagree.",
    "Is it",
    "Ｎo.",
    "Well, actually not really. Now then.",
]


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("line", ["Answer: sunny", "final answer: Sunny", "Answer: sunny?", "Answer: suny"])
def test_the_short_way_accepts_nothing_that_the_rules_refuse(
    lead: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"{lead}\n{line}"
    accepted = claims_only(text, "sunny", ["rainy"])
    monkeypatch.setattr("nemo_gym.verifiers.claims._ends_with_it", lambda *_: False)
    assert claims_only(text, "sunny", ["rainy"]) == accepted
