"""The 25 instructions of IFEval beside lm-eval's checkers, on the same texts."""

from __future__ import annotations

from typing import Any

from instruction_texts import TEXTS, use_sentence_data

from nemo_gym.verifiers.instructions import find_instruction

use_sentence_data()
import langdetect  # noqa: E402
from lm_eval.tasks.ifeval import instructions_registry  # noqa: E402

langdetect.DetectorFactory.seed = 0

PROMPT = "Tell me about the river."
CASES: list[tuple[str, dict[str, Any]]] = [
    ("keywords:existence", {"keywords": ["river", "bridge"]}),
    ("keywords:existence", {"keywords": ["the"]}),
    ("keywords:frequency", {"keyword": "cat", "frequency": 4, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "the", "frequency": 2, "relation": "less than"}),
    ("keywords:forbidden_words", {"forbidden_words": ["cat", "river"]}),
    ("keywords:forbidden_words", {"forbidden_words": ["is", "word"]}),
    ("keywords:letter_frequency", {"letter": "e", "let_frequency": 8, "let_relation": "at least"}),
    ("keywords:letter_frequency", {"letter": "T", "let_frequency": 4, "let_relation": "less than"}),
    ("language:response_language", {"language": "en"}),
    ("language:response_language", {"language": "de"}),
    ("language:response_language", {"language": "es"}),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "at least"}),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "less than"}),
    ("length_constraints:number_sentences", {"num_sentences": 4, "relation": "at least"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}),
    ("length_constraints:number_words", {"num_words": 12, "relation": "at least"}),
    ("length_constraints:number_words", {"num_words": 8, "relation": "less than"}),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "mountain"},
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 3, "first_word": "lake"},
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "the"},
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}),
    ("detectable_content:number_placeholders", {"num_placeholders": 3}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 4}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}),
    ("detectable_format:constrained_response", {}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 4}),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 3}),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2}),
    ("detectable_format:json_format", {}),
    ("detectable_format:title", {}),
    ("combination:two_responses", {}),
    ("combination:repeat_prompt", {"prompt_to_repeat": PROMPT}),
    ("startend:end_checker", {"end_phrase": "Any other questions?"}),
    ("startend:end_checker", {"end_phrase": "Is there anything else I can help with?"}),
    ("startend:quotation", {}),
    ("change_case:capital_word_frequency", {"capital_frequency": 3, "capital_relation": "at least"}),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "less than"}),
    ("change_case:english_capital", {}),
    ("change_case:english_lowercase", {}),
    ("punctuation:no_comma", {}),
]
NO_LANGUAGE = "ours: a text without letters of a language is not in that language"
DISAGREEMENTS: dict[tuple[str, str], str] = {
    ("language:response_language", "12345"): NO_LANGUAGE,
    ("language:response_language", "```\n[1, 2, 3]\n```"): NO_LANGUAGE,
    (
        "length_constraints:number_sentences",
        "A.\n******\n\n******\nB.",
    ): "theirs: a single letter with a point is a sentence of its own here",
    (
        "length_constraints:number_sentences",
        "The price rose by 3.5 percent, i.e. more",
    ): "ours: the abbreviation i.e. ends no sentence",
}
"""For an instruction and the start of a text, who is right and why."""


def published(id: str, kwargs: dict[str, Any], text: str) -> bool:
    checker = instructions_registry.INSTRUCTION_DICT[id](id)
    checker.build_description(**kwargs)
    return bool(text.strip()) and bool(checker.check_following(text))


def test_the_verdicts_agree() -> None:
    assert len({id for id, _ in CASES}) == 25
    differences: list[tuple[str, str, bool]] = []
    for id, kwargs in CASES:
        follows = find_instruction(id).check(kwargs)
        for text in TEXTS:
            if (verdict := follows(text)) != published(id, kwargs, text):
                differences.append((id, text[:40], verdict))

    total = len(CASES) * len(TEXTS)
    print(f"\n{total} verdicts, {len(differences)} differ")
    for id, text, verdict in differences:
        print(f"{id} | {text!r} | ours {verdict} | {DISAGREEMENTS.get((id, text), '?')}")
    assert total >= 500
    assert len(differences) <= total / 100
    assert {(id, text) for id, text, _ in differences} == set(DISAGREEMENTS)
