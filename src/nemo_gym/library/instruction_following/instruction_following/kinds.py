"""The kinds of instructions in generated tasks, with the ids of IFEval."""

from __future__ import annotations

import random
import string

from nemo_gym.environments.instruction_tasks import WORDS, Draft, Kind, Plan


def existence(rng: random.Random, draft: Draft) -> Plan:
    words = rng.sample(WORDS, rng.randint(1, 3))
    draft.sentences += [f"Here the word {word} belongs too." for word in words]
    return {"keywords": words}, f"Use the words {', '.join(words)}." if len(
        words
    ) > 1 else f"Use the word {words[0]}."


def frequency(rng: random.Random, draft: Draft) -> Plan:
    word, count = rng.choice(WORDS), rng.randint(2, 4)
    draft.sentences += [f"Then comes a {word} again."] * count
    return (
        {"keyword": word, "frequency": count, "relation": "at least"},
        f"The word {word} occurs at least {count} times.",
    )


def forbidden_words(rng: random.Random, _: Draft) -> Plan:
    words = rng.sample(WORDS, 3)
    return {"forbidden_words": words}, f"Do not use any of the words {', '.join(words)}."


def letter_frequency(rng: random.Random, draft: Draft) -> Plan:
    letter = rng.choice("aeinorst")
    count = min(rng.randint(6, 20), draft.text.lower().count(letter))
    return (
        {"letter": letter, "let_frequency": max(count, 6), "let_relation": "at least"},
        f"The letter {letter} occurs at least {max(count, 6)} times.",
    )


def number_words(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(15, 60)
    while len(draft.text.split()) < count:
        draft.sentences.append(f"One more thing about {draft.topic} is worth a sentence.")
    return {"num_words": count, "relation": "at least"}, f"Write at least {count} words."


def number_sentences(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(2, 7)
    draft.sentences += ["It is so."] * max(0, count - len(draft.sentences))
    return {"num_sentences": count, "relation": "at least"}, f"Write at least {count} sentences."


def number_paragraphs(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(2, 4)
    draft.after += ["***\nAnother part says a little more."] * (count - 1)
    return (
        {"num_paragraphs": count},
        f"Write exactly {count} paragraphs, with a line *** between each two of them.",
    )


def nth_paragraph_first_word(rng: random.Random, draft: Draft) -> Plan:
    count, word = rng.randint(2, 4), rng.choice(WORDS)
    nth = rng.randint(2, count)
    draft.after += [
        f"\n{word.capitalize() if n == nth else 'This'} begins a paragraph." for n in range(2, count + 1)
    ]
    return (
        {"num_paragraphs": count, "nth_paragraph": nth, "first_word": word},
        f"Write {count} paragraphs with a blank line between each two of them. "
        f"Paragraph {nth} begins with the word {word}.",
    )


def number_placeholders(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(1, 4)
    draft.sentences.append(f"Write to {' or '.join(f'[place {n}]' for n in range(1, count + 1))}.")
    return (
        {"num_placeholders": count},
        f"Include at least {count} placeholders in square brackets, such as [name].",
    )


def postscript(rng: random.Random, draft: Draft) -> Plan:
    marker = rng.choice(("P.S.", "P.P.S"))
    draft.after.append(f"\n{marker} One more remark comes at the end.")
    return {"postscript_marker": marker}, f"Add a postscript at the end that begins with {marker}"


def number_bullet_lists(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(2, 5)
    draft.after += [f"* point {string.ascii_lowercase[n]}" for n in range(count)]
    return {
        "num_bullets": count
    }, f"Include exactly {count} bullet points that begin with an asterisk: * like this"


def constrained_response(_: random.Random, draft: Draft) -> Plan:
    draft.sentences.append("My answer is maybe.")
    return {}, "Include one of these sentences: My answer is yes. My answer is no. My answer is maybe."


def number_highlighted_sections(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(1, 4)
    draft.sentences += ["This is an *important part* of it."] * count
    return {"num_highlights": count}, f"Highlight at least {count} parts with asterisks, *like this*."


def multiple_sections(rng: random.Random, draft: Draft) -> Plan:
    count, word = rng.randint(2, 4), rng.choice(("Section", "PART", "Chapter"))
    draft.after += [f"{word} {n}\nThis is what it says." for n in range(1, count + 1)]
    return (
        {"section_spliter": word, "num_sections": count},
        f"Write at least {count} sections. Each has a heading with a number, such as {word} 1.",
    )


def title(_: random.Random, draft: Draft) -> Plan:
    draft.before.append(f"<<About {draft.topic}>>")
    return {}, "Give it a title in double angular brackets: <<the title>>"


def two_responses(_: random.Random, draft: Draft) -> Plan:
    draft.after.append("******\nThe other answer is a different one.")
    return {}, "Give two different answers, with six asterisks between them: ******"


def end_checker(rng: random.Random, draft: Draft) -> Plan:
    phrase = f"That is all about the {rng.choice(WORDS)}"
    draft.changes.append(lambda text: f"{text}\n{phrase}")
    return {"end_phrase": phrase}, f"End with exactly these words and nothing after them: {phrase}"


def quotation(_: random.Random, draft: Draft) -> Plan:
    draft.changes.append(lambda text: f'"{text}"')
    return {}, "Put the whole answer in double quotation marks."


def capital_word_frequency(rng: random.Random, draft: Draft) -> Plan:
    words = rng.sample(WORDS, rng.randint(2, 4))
    draft.sentences += [f"Remember the {word.upper()}." for word in words]
    return (
        {"capital_frequency": len(words), "capital_relation": "at least"},
        f"Write at least {len(words)} words in capital letters.",
    )


def no_comma(_: random.Random, __: Draft) -> Plan:
    return {}, "Use no commas."


KINDS = (
    Kind(id="keywords:existence", plan=existence, is_easy=True),
    Kind(id="keywords:frequency", plan=frequency, is_easy=True),
    Kind(id="keywords:forbidden_words", plan=forbidden_words),
    Kind(id="keywords:letter_frequency", plan=letter_frequency, is_easy=True),
    Kind(id="length_constraints:number_words", plan=number_words, is_easy=True),
    Kind(id="length_constraints:number_sentences", plan=number_sentences, is_easy=True),
    Kind(id="length_constraints:number_paragraphs", plan=number_paragraphs, is_alone=True),
    Kind(id="length_constraints:nth_paragraph_first_word", plan=nth_paragraph_first_word, is_alone=True),
    Kind(id="detectable_content:number_placeholders", plan=number_placeholders),
    Kind(id="detectable_content:postscript", plan=postscript),
    Kind(id="detectable_format:number_bullet_lists", plan=number_bullet_lists, is_alone=True),
    Kind(id="detectable_format:constrained_response", plan=constrained_response),
    Kind(id="detectable_format:number_highlighted_sections", plan=number_highlighted_sections),
    Kind(id="detectable_format:multiple_sections", plan=multiple_sections, is_alone=True),
    Kind(id="detectable_format:title", plan=title),
    Kind(id="combination:two_responses", plan=two_responses, is_alone=True),
    Kind(id="startend:end_checker", plan=end_checker),
    Kind(id="startend:quotation", plan=quotation, is_alone=True),
    Kind(id="change_case:capital_word_frequency", plan=capital_word_frequency),
    Kind(id="punctuation:no_comma", plan=no_comma),
)
"""Kinds that need no further library. Bullets are apart from highlights, which use the same sign."""
