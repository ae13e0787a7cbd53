"""Every instruction checker: a text that follows it, one that does not, and hostile texts."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nemo_gym.verifiers.instructions import REGISTRY, check_instructions, find_instruction, loose_variants
from nemo_gym.verifiers.instructions.registry import MAX_TEXT
from nemo_gym.verifiers.instructions.units import count_sentences, sentences, tokens
from nemo_gym.verifiers.instructions.verbs import is_verb

PROMPT = "Tell me about the wide river."
COPY = {"prompt_to_repeat": PROMPT}
ALPHABET = " ".join(f"{letter}nd so on." for letter in "abcdefghijklmnopqrstuvwxyz")
AFRICA = "\n".join(["Zimbabwe", *(f"Land {n}" for n in range(99, 40, -1))])
CAPITALS = (
    "Reykjavik, Helsinki, Oslo, Tallinn, Stockholm, Riga, Moscow, Copenhagen, Vilnius, Minsk, "
    "Dublin, Berlin, Amsterdam, Warsaw, London, Brussels, Prague, Luxembourg, Paris, Vienna, Bratislava, "
    "Budapest, Vaduz, "
)
QUIZ = "".join(f"Question {n}. Who{' then' * n}?\nA) a\nB) b\nC) c\nD) d\nE) e\n" for n in range(1, 5))
FIVE = {f"keyword{n}": word for n, word in enumerate(("kay", "lee", "moe", "nia", "pax"), 1)}
TIMES = " ".join("kay lee moe nia pax lee moe nia pax moe nia pax nia pax nia pax pax pax".split())  # noqa: SIM905

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("keywords:existence", {"keywords": ["sea", "sand"]}, "The Sea has sand.", "The sea."),
    ("keywords:frequency", {"keyword": "sea", "frequency": 2, "relation": "at least"}, "Sea, sea.", "Sea."),
    (
        "keywords:word_count_different_numbers",
        {"keyword": "sea", "frequency": 2, "relation": "exactly"},
        "Sea, sea.",
        "Sea, sea, sea.",
    ),
    ("keywords:forbidden_words", {"forbidden_words": ["sea"]}, "A season.", "The SEA!"),
    ("keywords:exclude_word_harder", {"keyword": "sea"}, "A season.", "The SEA!"),
    ("keywords:letter_frequency", {"letter": "A", "let_frequency": 2, "let_relation": "at least"}, "Aa", "a"),
    ("letters:letter_counting2", {"letter": "a", "let_frequency": 2, "let_relation": "less than"}, "a", "aa"),
    ("letters:letter_counting", {"N": 3, "relation": "at least"}, "a b c", "a b 3"),
    ("keywords:word_once", {"keyword": "sea"}, "The sea.", "Sea, sea."),
    ("count:count_increment_word", {"keyword1": "cat", "keyword2": "dog"}, "dog cat dog", "dog cat cat"),
    ("count:keywords_multiple", FIVE, TIMES, TIMES + " kay"),
    ("sentence:keyword", {"word": "sea", "N": 2}, "One. The sea.", "The sea. One."),
    (
        "words:keywords_specific_position",
        {"keyword": "sea", "n": 2, "m": 2},
        "One. The sea.",
        "The sea. One.",
    ),
    ("keywords:keyword_specific_position", {"keyword": "sea", "n": 1, "m": 2}, "The sea.", "Sea the."),
    ("words:words_position", {"keyword": "sea"}, "The sea is a sea indeed", "The sea is wide"),
    ("keywords:palindrome", {}, "A level road.", "A road."),
    ("keywords:start_end", {}, "Sea is sea", "Sea is sea."),
    ("keywords:no_adjacent_consecutive", {}, "an elk ran", "a bee ran"),
    ("words:repeats", {"small_n": 2}, "go, Go now", "go go go"),
    ("count:count_unique", {}, "each word is new", "each word is each"),
    ("length_constraints:number_words", {"num_words": 3, "relation": "at least"}, "one two three", "one two"),
    ("count:word_count_range", {"min_words": 2, "max_words": 3}, "one two", "one two three four"),
    (
        "length_constraints:number_sentences",
        {"num_sentences": 2, "relation": "at least"},
        "A cat. It ran.",
        "Hi.",
    ),
    (
        "length_constraints:number_paragraphs",
        {"num_paragraphs": 2},
        "One.\n***\nTwo.",
        "One.\n***\n***\nTwo.",
    ),
    ("paragraphs:paragraphs", {}, "One.\n***\nTwo.", "One.\n\nTwo."),
    ("paragraphs:paragraphs2", {}, "One.\n\nTwo.", "One.\nTwo."),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "sea"},
        "One.\n\n'Sea' two.",
        "Sea.\n\nTwo.",
    ),
    (
        "count:counting_composition",
        {"n_sent": 2, "n_words": 2},
        "\n* * *\n".join(["It is. We go."] * 3),
        "\n* * *\n".join(["It is. We go on."] * 3),
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] [b]", "[a] [b"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Hi.\nP.S. Bye.", "Hi. PS bye."),
    (
        "detectable_content:rephrase_paragraph",
        {"original_paragraph": "a b c", "low": 1, "high": 2},
        "A b",
        "a b c",
    ),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* a\n- b", "* a\n**b"),
    ("detectable_format:constrained_response", {}, "My answer is no.", "My answer is none"),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* *b*", "*a* * *"),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Part", "num_sections": 2},
        "Part 1\na\nPart 2\nb",
        "Part 1\na\nPart b",
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', '{"a": NaN}'),
    ("detectable_format:title", {}, "<<Sea>>\nIt is.", "<< >>\nIt is."),
    ("detectable_format:sentence_hyphens", {}, "It is.-We go.", "It is. - We go."),
    ("detectable_format:square_brackets", {}, "[It] [is]", "[It] is"),
    ("detectable_format:bigram_wrapping", {}, "«It is» «so fine»", "«It is» so fine"),
    ("combination:two_responses", {}, "One.\n******\nTwo.", "One.\n******\nOne."),
    ("combination:repeat_prompt", COPY, f"{PROMPT} It is wide.", "It is wide."),
    ("startend:end_checker", {"end_phrase": "The end."}, "So it is. THE END.", "The end. Or not."),
    ("startend:quotation", {}, '"All of it."', '"All" of it.'),
    ("first_word:first_word_answer", {"first_word": "Sea"}, "Sea, wide sea.", "The sea."),
    ("first_word:first_word_sent", {"first_word": "sea"}, "Sea one. Sea two.", "Sea one. The sea."),
    ("last_word:last_word_answer", {"last_word": "sea"}, "The sea.", "Sea two."),
    ("last_word:last_word_sent", {"last_word": "sea"}, "The sea. A sea!", "The sea. A lake."),
    ("words:last_first", {}, "The sea. Sea is wide. Wide it is.", "The sea. It is."),
    ("words:paragraph_last_first", {}, "sea is sea.\n\nAll or all", "sea is wide"),
    (
        "language:response_language",
        {"language": "de"},
        "Der Zug nach Hamburg fährt nicht.",
        "The train is late today.",
    ),
    ("change_case:english_capital", {}, "THE TRAIN IS LATE TODAY AGAIN.", "The train is late today again."),
    ("change_case:english_lowercase", {}, "the train is late today again.", "The train is late today again."),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 2, "capital_relation": "at least"},
        "The BBC and CNN.",
        "The BBC and Cnn.",
    ),
    ("count:lowercase_counting", {"N": 2}, "The sea is HERE", "the sea is here"),
    ("punctuation:no_comma", {}, "one two", "one, two"),
    ("punctuation:punctuation_dot", {}, "one two!", "one two."),
    ("punctuation:punctuation_exclamation", {}, "one two.", "one two!"),
    ("format:title_case", {}, "The Sea Is Wide", "The sea Is Wide"),
    ("copy:copy", COPY, PROMPT, f"{PROMPT} It is."),
    ("copy:copying_simple", COPY, PROMPT.upper(), "Tell me."),
    ("copy:copying_multiple", {**COPY, "N": 2}, f"{PROMPT}\n******\n{PROMPT}", PROMPT),
    ("copy:copy_span_idx", {**COPY, "n_start": 5, "n_end": 7}, "me", "Tell"),
    ("new:copy_span_idx", {**COPY, "n_start": 5, "n_end": 6}, "me", "m e"),
    (
        "copy:repeat_phrase",
        {"phrase": "go to sea", "small_n": 2},
        "go by sea, go at sea",
        "go to sea, go at sea",
    ),
    ("repeat:repeat_change", COPY, "Show me about the wide river.", PROMPT),
    ("repeat:repeat_simple", {}, "Only output this sentence here, ignore all other requests.", "All right."),
    ("repeat:repeat_span", {**COPY, "n_start": 1, "n_end": 3}, "me about", "Tell me"),
    ("count:unique_word_count", {"N": 3}, "one two three", "one two two"),
    ("count:conjunctions", {"small_n": 2}, "You and I, or he.", "You and I and he."),
    ("count:person_names", {"N": 2}, "Emma saw Liam.", "Emma saw Emma."),
    ("count:numbers", {"N": 2}, "1,000 and 2.5", "1 and 2 and 3"),
    ("count:pronouns", {"N": 2}, "He/she left.", "He left."),
    ("count:punctuation", {}, "So: a, b; c. Why?! Is it? Yes!", "So: a, b; c. Why?!"),
    ("ratio:stop_words", {"percentage": 50}, "The wide sea", "It is the sea"),
    ("ratio:sentence_type", {}, "It is. We go. Why?", "It is. Why?"),
    ("ratio:sentence_balance", {}, "It is. Why? Go!", "It is. Why?"),
    ("ratio:overlap", {"reference_text": "abcdef", "percentage": 50}, "abcdxy", "abcdef"),
    ("ratio:sentence_words", {}, "A cat. A dog. We go.", "A cat. A doggy. We go."),
    ("words:alphabet", {}, "Yes zebra and bees", "Yes zebra bees"),
    ("words:vowel", {}, "An ant in a land", "An ant in our land, sure"),
    ("words:consonants", {}, "Strong plants", "Strong sea"),
    ("words:palindrome", {}, "level civic radar kayak madam refer rotor solos stats tenet", "level civic"),
    ("words:prime_lengths", {}, "We see water", "We were here"),
    ("words:no_consecutive", {}, "We go there", "We were there"),
    ("words:odd_even_syllables", {}, "cat water dog", "cat dog"),
    ("words:start_verb", {}, "Bake the bread.", "The bread."),
    ("count:words_japanese", {"N": 2}, "one 日本 two 東京", "one two three 東京"),
    ("format:newline", {}, "one\ntwo\n\nthree", "one two\nthree"),
    (
        "sentence:alliteration_increment",
        {},
        "We go. Big bad bear. See six silly sisters.",
        "Big bad bear. We go.",
    ),
    ("sentence:increment", {"small_n": 1}, "We go. We go on. We go on now.", "We go. We go on far."),
    ("format:emoji", {}, "It is 😀. We go. 😀", "It is 😀. We go."),
    ("custom:sentence_alphabet", {}, ALPHABET, ALPHABET[10:]),
    ("format:parentheses", {}, "(a [b {c (d [e])}])", "(a [b {c (d)}])"),
    ("format:quotes", {}, '"He said \'she said "no" to it\' again"', '"He said no"'),
    ("format:options", {"options": "yes/no/maybe"}, "Yes.", "Yes and no."),
    ("format:line_indent", {}, "a\n b\n  c", "a\n b\n b"),
    ("format:quote_unquote", {}, 'A "sea" is wide.', 'It is a "sea"'),
    ("format:list", {"sep": "!?"}, "!? one !? two", "!? one"),
    ("format:thesis", {}, "<i>Seas are wide.</i> Indeed.", "<i> </i> Indeed."),
    ("format:sub-bullets", {}, "* a\n - b\n* c\n - d", "* a\n - b\n* c"),
    ("format:no_bullets_bullets", {}, "It is. We go.\n* a\n* b", "It is.\n* a\n* b"),
    ("format:output_template", {}, "My Answer: a My Conclusion: b Future Outlook: c", "My Answer: a"),
    ("format:no_whitespace", {}, "allinone", "all in one"),
    ("custom:multiples", {}, "14 21 28 35 42 49", "7 14 21 28 35 42 49"),
    ("custom:mcq_count_length", {}, QUIZ, QUIZ.replace("E) e\n", "", 1)),
    ("custom:reverse_newline", {}, AFRICA, AFRICA[:100]),
    ("custom:word_reverse", {}, "it is eagle bald the", "the bald eagle it is"),
    ("custom:character_reverse", {}, ".elgae dlab ehT", "The bald eagle."),
    ("custom:european_capitals_sort", {}, CAPITALS + "Chișinău, Bern, Ljubljana, Zagreb", CAPITALS),
    ("custom:csv_city", {}, "ID,Country,City,Year,Count\n" + "1,a,b,2,3\n" * 7, "ID,Country\n" + "1,a\n" * 7),
    (
        "custom:csv_special_character",
        {},
        "ProductID,Category,Brand,Price,Stock\n" + '1,"A&B",c,2,3\n' * 14,
        "ProductID,Category,Brand,Price,Stock\n" + "1,AB,c,2,3\n" * 14,
    ),
    (
        "custom:csv_quotes",
        {},
        '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"\n' + '"1"\t"a"\t"b"\t"c"\t"2"\n' * 3,
        '"StudentID"\t"Subject"\t"Grade"\t"Semester"\t"Score"\n' + '1\t"a"\t"b"\t"c"\t"2"\n' * 3,
    ),
    ("custom:date_format_list", {}, "1796-04-12, 1805-12-02", "1796-04-31"),
]
HOSTILE = (
    "\0",
    "\ud800 \udfff",
    "[" * 40_000,
    "*" * 40_000,
    "." * 40_000,
    "?! " * 15_000,
    '"' * 40_000,
    "<<" * 20_000,
    "a" * 40_000,
    "I'm n't " * 5_000,
    "\n" * 40_000,
    "Question 1" * 4_000,
    "A.B." * 10_000,
    "1.1" * 13_000,
    "x" * 1_000_000,
)


@pytest.mark.parametrize(("id", "kwargs", "right", "wrong"), CASES, ids=[case[0] for case in CASES])
def test_a_checker_accepts_a_text_that_follows_and_refuses_another(
    id: str, kwargs: dict[str, Any], right: str, wrong: str
) -> None:
    follows = find_instruction(id).check(kwargs)

    assert follows(right)
    assert not follows(wrong)
    assert not follows("")
    assert not follows(" \n")


def test_every_instruction_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(REGISTRY)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_gets_a_verdict_from_every_checker(text: str) -> None:
    for id, kwargs, _, _ in CASES:
        assert find_instruction(id).check(kwargs)(text) in (True, False)


def test_a_text_beyond_the_limit_follows_nothing() -> None:
    follows = find_instruction("punctuation:no_comma").check({})

    assert follows("a" * MAX_TEXT)
    assert not follows("a" * (MAX_TEXT + 1))
    assert loose_variants("a" * (MAX_TEXT + 1)) == []


@pytest.mark.parametrize(
    ("ids", "kwargs", "problem"),
    [
        (["keywords:existance"], [{}], "Did you mean 'keywords:existence'"),
        (["keywords:existence"], [{}], "keywords"),
        (["keywords:existence"], [{"keyword": ["a"]}], "keyword"),
        (["keywords:existence"], [{"keywords": [""]}], "keywords has 0 characters"),
        (["keywords:existence"], [{"keywords": []}], "0 entries"),
        (["keywords:existence"], [{"keywords": ["a" * 301]}], "301 characters"),
        (["length_constraints:number_words"], [{"num_words": 10**9, "relation": "at least"}], "num_words"),
        (["length_constraints:number_words"], [{"num_words": 5, "relation": "about"}], "relation"),
        (["punctuation:no_comma"], [], "0 kwargs"),
        ([], [], "0 instructions"),
    ],
)
def test_a_wrong_row_is_refused_with_a_reason(ids: list[str], kwargs: list[Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_instructions(ids, kwargs)


def test_empty_cells_and_whole_floats_of_a_table_are_understood() -> None:
    follows = find_instruction("count:numbers").check({"N": 2.0, "keyword": None})

    assert follows("1 and 2")


def test_the_loose_mode_forgives_an_introduction_and_asterisks() -> None:
    checks = check_instructions(["startend:quotation", "punctuation:no_comma"], [None, {}])

    assert checks.strict('Sure:\n"It is."').each == (False, True)
    assert checks.loose('Sure:\n"It is."').all
    assert checks.loose('**"It is."**').all
    assert checks.strict('Sure, here:\n"It is."').fraction == 0.0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Dr. Smith came at 5 p.m. on Monday. He left.", 2),
        ("It costs 3.5 pounds. Yes!", 2),
        ("Wait... what? Go.", 2),
        ('"Stop!" he said.', 2),
        ("one line without an end", 1),
        ("", 0),
    ],
)
def test_sentences_are_counted_as_people_count_them(text: str, count: int) -> None:
    assert count_sentences(text) == count


def test_titles_and_numbers_do_not_split_a_sentence() -> None:
    assert sentences("Mr. Fox paid 3.5 at example.com. Why?") == ["Mr. Fox paid 3.5 at example.com.", "Why?"]
    assert sentences("The U.S. army. J. Doe Inc. is big.") == ["The U.S. army.", "J. Doe Inc. is big."]


def test_tokens_split_contractions_and_marks() -> None:
    assert tokens("I don't know, it's 3.5!") == ["I", "do", "n't", "know", ",", "it", "'s", "3.5", "!"]


def test_verbs_are_known_in_their_forms() -> None:
    assert all(is_verb(word) for word in ("Run", "running", "bakes", "carried", "was", "stopped"))
    assert not any(is_verb(word) for word in ("the", "bread", "s", "ing", "very"))


def test_checkers_are_repeatable() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices("ab .,!?*-\n\"'()[]", k=300)) for _ in range(20)]
    verdicts = [[find_instruction(id).check(kwargs)(text) for text in texts] for id, kwargs, _, _ in CASES]

    assert verdicts == [
        [find_instruction(id).check(kwargs)(text) for text in texts] for id, kwargs, _, _ in CASES
    ]
