"""What a text in plain English claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_gym.verifiers.claims import claimed_number, claims_only
from nemo_gym.verifiers.denials import denies, negates

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


HONEST = [
    *("I'd say sunny.", "I think sunny"),
    *("sunny", "It is sunny.", "Today it is sunny.", "The weather in Lisbon is sunny."),
    *("It's sunny in Lisbon today.", "Lisbon: sunny", "**Sunny**"),
    *("Sunny, with a light wind from the west.",),
    *("The forecast for Lisbon is sunny, light wind from the west.",),
    *("According to the forecast, it is sunny in Lisbon.", "The tool says it's sunny."),
    *("The weather tool reports sunny weather with a light wind.", "The forecast says it is sunny."),
    *("It will be sunny today.", "Today's weather: sunny.", "It's currently sunny."),
    *("You can expect sunny weather.", "Expect a sunny day!", "It is sunny, but there is a light wind."),
    *("It's sunny, but with a light wind from the west.", "Sunny - light wind from the west."),
    *("Good news: it's sunny!", "I checked the weather: it is sunny."),
    *("I looked it up, and it is sunny in Lisbon.", "As expected, it's sunny."),
    *("Based on the weather data, Lisbon is sunny today.",),
    *("The current weather in Lisbon is sunny with a light wind from the west.",),
    *("Lisbon is sunny today with a light wind from the west. Enjoy your day!",),
    *("The weather today in Lisbon is sunny. If you go out, wear sunscreen.",),
    *("It is sunny. Let me know if you need anything else.", "It is sunny. Is there anything else?"),
    *("Yes, it is sunny.", "Yes! Sunny.", "The answer is sunny.", "Final answer: sunny"),
    *("It is a sunny day in Lisbon.", "Sunny ☀️", "☀️ Sunny", "Right now it's sunny, with a light wind."),
    *("Weather: sunny\nWind: light, from the west", "| City | Weather |\n|---|---|\n| Lisbon | sunny |"),
    *("- Lisbon: sunny", "It's sunny in Lisbon, so no umbrella is needed."),
    *("It's sunny; you won't need an umbrella.", "It is sunny and there is a light wind from the west."),
    *("The report shows sunny conditions.", "Conditions are sunny.", "The sky is clear and sunny."),
    *("Reported weather: sunny.", "Here is the weather: sunny, light wind from the west."),
    *("The weather is sunny according to the tool.", "The result is: sunny, light wind from the west."),
    *("The weather service says: sunny.",),
    *("In Lisbon today the weather is sunny, so it would be a good day for a walk.", "Sunny today."),
    *("The weather is sunny today. You might want sunglasses.",),
    *("Today in Lisbon: sunny. Have a nice day!", "The forecast calls for sunny skies."),
    *("The weather for today is as follows: sunny.",),
]
HEDGES = [
    *("It seems sunny", "It seems to be sunny.", "It seemed sunny", "Seemingly sunny"),
    *("Apparently sunny", "Apparently it is sunny.", "It appears sunny", "It appears to be sunny."),
    *("It looks sunny", "It looks like it's sunny.", "Looks sunny to me", "It sounds sunny"),
    *("It feels sunny", "The forecast said sunny, but it pours", "They said sunny, but it is pouring."),
    *("The tool said sunny but that was yesterday", "It said sunny; it lied.", "They say it is sunny"),
    *("Some say it is sunny.", "People say it's sunny.", "Someone told me it is sunny."),
    *("I heard it is sunny.", "I was told it is sunny.", "Rumour has it that it is sunny."),
    *("Word is it's sunny", "Legend has it: sunny", "It was sunny, but it changed."),
    *("It was sunny, now it pours.", "It was sunny until noon.", "It was sunny earlier."),
    *("It had been sunny", "It was going to be sunny", "It was supposed to be sunny"),
    *("It was sunny once", "It was sunny before the storm.", "It was sunny last week", "Sunny last year"),
    *("It is no longer sunny", "It stopped being sunny.", "It isn't sunny anymore", "Once it was sunny"),
    *("Formerly sunny", "Previously sunny", "It will be sunny tomorrow, today it pours."),
    *(
        "Sunny, but actually it pours",
        "Sunny? I doubt it",
        "I would say sunny",
    ),
    *("I think it might be sunny", "I guess sunny", "It could be sunny", "It may be sunny"),
    *("It might be sunny", "It should be sunny", "It ought to be sunny", "It must be sunny, or not."),
    *("It can be sunny", "It can hardly be sunny", "I suppose it is sunny", "I imagine it's sunny"),
    *("Conceivably sunny", "Potentially sunny", "It is potentially sunny", "It is possibly sunny"),
    *("It is presumably sunny", "It is reportedly sunny", "Reportedly sunny", "It is said to be sunny"),
    *("It is rumoured to be sunny", "It is rumored to be sunny", "It is believed to be sunny"),
    *("It is thought to be sunny", "It's allegedly sunny", "It is ostensibly sunny", "So-called sunny"),
    *("Quasi sunny", "Almost sunny", "Nearly sunny", "Not quite sunny", "Barely sunny", "Half sunny"),
    *("Somewhat sunny, sort of", "Kind of sunny", "Sort of sunny", "More or less sunny"),
    *("Anything is sunny or wet", "The word is sunny if you flip a coin", "Say sunny and see"),
    *("Let's say sunny", "Let us assume sunny", "Suppose it's sunny", "Imagine it's sunny"),
    *("Pretend it is sunny", "If you ask me, sunny", "In a dream it was sunny", "In theory it's sunny"),
    *("In theory sunny", "Supposing sunny", "It would be sunny", "It would be nice if it was sunny"),
    *("If only it was sunny", "I hope it's sunny", "Hopefully it's sunny", "I want it to be sunny"),
    *("I wish it was sunny", "Fingers crossed: sunny", "I bet it's sunny", "My money is on sunny"),
    *("Odds are it's sunny", "Chances are it's sunny", "There is a chance it's sunny"),
    *("There's a 50% chance that it's sunny", "Likely sunny", "Most likely sunny", "Not unlikely sunny"),
    *("I can't say it's sunny", "I cannot confirm that it is sunny", "I am not sure it is sunny"),
    *("Unsure, sunny", "Who knows, sunny", "No idea, sunny", "Sunny, I don't know"),
    *("It's hard to say, sunny", "It is hard to tell if sunny", "Sunny, whatever", "Sunny (guess)"),
    *("Sunny (?)", "sunny?", "Sunny...? ", "It is anything but sunny", "It's far from sunny"),
    *("Far from being sunny", "It is rather wet than sunny", "It's wet instead of sunny"),
    *("It's wet rather than sunny", "It's as sunny as a cellar", "It's sunny like hell is cold"),
    *("It's the opposite of sunny", "It is unsunny", "It's everything except sunny"),
    *("It would be a lie to call it sunny", "Calling it sunny would be wrong"),
    *("To call it sunny is a stretch", "You can't call it sunny", "Nobody would call it sunny"),
    *("Only a fool would say sunny", "Fools say sunny", "It's sunny, not.", "It's sunny. Not."),
    *("It's sunny... NOT", "Sunny, my foot", "Sunny, yeah right", "Yeah, right, sunny."),
    *("As if it was sunny", "Since when is it sunny", "When is it sunny", "Why would it be sunny"),
    *("How could it be sunny", "The weather is one of: sunny and so on", "My answer could be sunny"),
    *("Answer: sunny or other", "The weather was sunny in the past", "It is sunny elsewhere"),
    *("It's sunny, just not here", "It is sunny in another city", "It is sunny somewhere"),
    *("Sunny is what people want", "Sunny is what they told me", "The wrong answer is sunny"),
    *("The answer isn't sunny", "The answer I reject is sunny", "Don't say sunny", "Never say sunny"),
    *("sunny is false", "false: sunny", "not(sunny)", "!(sunny)", "¬sunny", "sunny: false"),
    *("sunny=false", "sunny: no", "sunny: 0", "~sunny", "sunny -> no", "sunny ✗", "⛔ sunny"),
    *("it is s u n n y not", "la réponse n'est pas sunny", "no es sunny", "nicht sunny"),
]


def test_a_value_can_be_stated_in_many_ways() -> None:
    assert [text for text in HONEST if not claims_only(text, "sunny", RIVALS)] == []


def test_what_only_seems_is_said_or_holds_elsewhere_is_not_claimed() -> None:
    assert [text for text in HEDGES if claims_only(text, "sunny", RIVALS)] == []


@pytest.mark.parametrize(
    "text",
    [
        "I lied.",
        "I don't know.",
        "Maybe not.",
        "Not sure though.",
        "\n\nActually no.",
        "No, wet.",
        "I guess.",
    ],
)
def test_a_later_sentence_takes_a_claim_back(text: str) -> None:
    assert not claims_only(f"It is sunny. {text}", "sunny", RIVALS)


def test_a_number_is_claimed_as_it_is() -> None:
    for text in ("5", "The sum is 5.", "2 + 3 = 5", "It comes to 5.", "You get 5", "**5**"):
        assert claims_only(text, "5"), text
    for text in ("about 5", "close to 5", "up to 5", "at least 5", "<5", "-5", "~5", "≈5", "5 or so", "5?"):
        assert not claims_only(text, "5"), text


@pytest.mark.parametrize("box", [r"\boxed{sunny}", r"\textbf{sunny}", r"$\boxed{\text{sunny}}$"])
def test_a_value_may_stand_in_a_box(box: str) -> None:
    assert claims_only(f"The weather is {box}.", "sunny", RIVALS)
    assert not claims_only(rf"\cancel{{{box}}}", "sunny", RIVALS)


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
