"""The kinds of instructions in generated tasks, with the ids of IFBench."""

from __future__ import annotations

import random
import string

from nemo_gym.environments.instruction_tasks import WORDS, Draft, Kind, Plan
from nemo_gym.verifiers.instructions.units import word_runs

_PALINDROMES = (
    "level",
    "civic",
    "radar",
    "kayak",
    "madam",
    "refer",
    "rotor",
    "solos",
    "stats",
    "tenet",
    "rotator",
)


def word_count_range(rng: random.Random, draft: Draft) -> Plan:
    count, slack = len(word_runs(draft.text)), rng.randint(2, 20)
    low, high = max(1, count - slack), count + rng.randint(2, 20)
    return {"min_words": low, "max_words": high}, f"Write {low} to {high} words."


def unique_word_count(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(10, 30)
    draft.sentences.append(f"Add {' '.join(rng.sample(WORDS, 30))}.")
    return {"N": count}, f"Use at least {count} different words."


def conjunctions(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(1, 5)
    draft.sentences.append("Come and see but wait or rest for it is so yet it stays.")
    return {"small_n": count}, f"Use at least {count} different coordinating conjunctions, such as and."


def numbers(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(1, 5)
    draft.sentences += [f"Once there were {rng.randint(2, 99)} of them." for _ in range(count)]
    return {"N": count}, f"Include exactly {count} numbers, written with digits."


def pronouns(rng: random.Random, draft: Draft) -> Plan:
    count = rng.randint(2, 9)
    draft.sentences += ["They know it."] * count
    return {"N": count}, f"Use at least {count} personal pronouns, such as she, it or they."


def palindromes(rng: random.Random, draft: Draft) -> Plan:
    draft.sentences.append(f"It goes {' '.join(rng.sample(_PALINDROMES, 10))}.")
    return {}, "Include at least 10 palindromes, each one word of five letters or more."


def punctuation(_: random.Random, draft: Draft) -> Plan:
    draft.sentences.append("Is it so?! Well, yes; it is: now! Why?")
    return {}, (
        "Use the full stop, comma, colon, semicolon, question mark and exclamation mark, and besides an "
        "interrobang: a question mark with an exclamation mark right after it."
    )


def parentheses(_: random.Random, draft: Draft) -> Plan:
    draft.sentences.append("It goes on (and on [and on {and on (and on [at last])}]).")
    return {}, "Nest brackets of the kinds ( [ { at least five levels deep."


def quotes(_: random.Random, draft: Draft) -> Plan:
    draft.sentences.append('"She told us \'the sign says "no entry" in red\' again" was the story.')
    return {}, "Nest quotations three levels deep, with double and single quotation marks in turn."


def newline(_: random.Random, draft: Draft) -> Plan:
    draft.changes.append(lambda text: "\n".join(text.split()))
    return {}, "Put each word on a line of its own."


def sentence_keyword(rng: random.Random, draft: Draft) -> Plan:
    word, place = rng.choice(WORDS), rng.randint(1, len(draft.sentences))
    draft.sentences.insert(place - 1, f"A {word} comes to mind.")
    return {"word": word, "N": place}, f"Use the word {word} in sentence {place}."


def keywords_specific_position(rng: random.Random, draft: Draft) -> Plan:
    word, place, at = rng.choice(WORDS), rng.randint(1, len(draft.sentences)), rng.randint(2, 5)
    words = ["Then", "there", "was", "also"][: at - 1]
    draft.sentences.insert(place - 1, f"{' '.join([*words, word])} to think of.")
    return (
        {"keyword": word, "n": place, "m": at},
        f"The word {word} is word {at} of sentence {place}.",
    )


def keywords_multiple(rng: random.Random, draft: Draft) -> Plan:
    words = rng.sample(WORDS, 5)
    counts = (1, 2, 3, 5, 7)
    draft.sentences += [f"Say {' '.join([word] * count)}." for word, count in zip(words, counts, strict=True)]
    one, two, three, five, seven = words
    return (
        {f"keyword{n}": word for n, word in enumerate(words, 1)},
        f"Use the word {one} exactly once, {two} twice, {three} three times, {five} five times and {seven} "
        "seven times.",
    )


def list_items(rng: random.Random, draft: Draft) -> Plan:
    mark = rng.choice(("!?!?", "-->", "~~", "::", "=>", "##"))
    draft.after += [f"{mark} item {letter}" for letter in string.ascii_lowercase[:3]]
    return {"sep": mark}, f"Add a list of two or more items. Each begins with {mark} in place of a bullet."


def thesis(_: random.Random, draft: Draft) -> Plan:
    draft.before.append(f"<i>All of this is about {draft.topic}.</i>")
    return {}, "Begin with a thesis in italics, marked with the HTML tag <i>, and go on after it."


def start_verb(_: random.Random, draft: Draft) -> Plan:
    draft.sentences.insert(0, "Consider this.")
    return {}, "Begin with a verb."


def sub_bullets(_: random.Random, draft: Draft) -> Plan:
    draft.after += ["* one point\n - a part of it", "* one more point\n - a part of that"]
    return {}, "Include bullet points with asterisks, and under each of them a sub-bullet with a hyphen."


def no_bullets_bullets(_: random.Random, draft: Draft) -> Plan:
    draft.after += ["* one point", "* one more point"]
    return {}, "Write at least two sentences, and after them at least two bullet points with *"


def line_indent(_: random.Random, draft: Draft) -> Plan:
    draft.changes.append(lambda text: "\n".join(" " * n + line for n, line in enumerate(text.split(". "))))
    return {}, "Write several lines like stairs: each is indented more than the one before."


def title_case(_: random.Random, draft: Draft) -> Plan:
    draft.changes.append(lambda text: " ".join(word[:1].upper() + word[1:] for word in text.split()))
    return {}, "Write in title case: each word begins with a capital letter."


def no_whitespace(_: random.Random, draft: Draft) -> Plan:
    draft.changes.append(lambda text: "".join(text.split()))
    return {}, "Use no whitespace at all."


def alphabet(rng: random.Random, draft: Draft) -> Plan:
    words = {word[0]: word for word in rng.sample(WORDS, len(WORDS))}
    missing = {
        "c": "cat",
        "q": "quiet",
        "x": "xylophone",
        **{letter: f"{letter}o" for letter in "abdefghiouvw"},
    }
    bank = missing | words
    start, count = rng.randrange(26), rng.randint(5, 15)
    text = " ".join(bank[string.ascii_lowercase[(start + n) % 26]] for n in range(count))
    draft.changes.append(lambda _: text)
    return {}, "Each word begins with the next letter of the alphabet; after Z comes A."


KINDS = (
    Kind(id="count:word_count_range", plan=word_count_range, is_easy=True, is_alone=True),
    Kind(id="count:unique_word_count", plan=unique_word_count, is_easy=True),
    Kind(id="count:conjunctions", plan=conjunctions, is_easy=True),
    Kind(id="count:numbers", plan=numbers, is_easy=True),
    Kind(id="count:pronouns", plan=pronouns, is_easy=True),
    Kind(id="words:palindrome", plan=palindromes),
    Kind(id="count:punctuation", plan=punctuation),
    Kind(id="format:parentheses", plan=parentheses),
    Kind(id="format:quotes", plan=quotes),
    Kind(id="format:newline", plan=newline, is_alone=True),
    Kind(id="sentence:keyword", plan=sentence_keyword, is_easy=True, is_alone=True),
    Kind(id="words:keywords_specific_position", plan=keywords_specific_position, is_alone=True),
    Kind(id="count:keywords_multiple", plan=keywords_multiple),
    Kind(id="format:list", plan=list_items),
    Kind(id="format:thesis", plan=thesis),
    Kind(id="words:start_verb", plan=start_verb, is_easy=True, is_alone=True),
    Kind(id="format:sub-bullets", plan=sub_bullets, is_alone=True),
    Kind(id="format:no_bullets_bullets", plan=no_bullets_bullets, is_alone=True),
    Kind(id="format:line_indent", plan=line_indent, is_alone=True),
    Kind(id="format:title_case", plan=title_case, is_alone=True),
    Kind(id="format:no_whitespace", plan=no_whitespace, is_alone=True),
    Kind(id="words:alphabet", plan=alphabet, is_alone=True),
)
"""Kinds that need no further library and that neither a refusal nor a copy of the prompt follows."""
