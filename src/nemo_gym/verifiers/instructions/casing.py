"""Instructions about language, case and punctuation.

Languages are recognised by langdetect with a fixed seed, as the published checker does without one.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from nemo_gym.verifiers.instructions.registry import Relation, compare, instruction
from nemo_gym.verifiers.instructions.units import tokens
from nemo_gym.wire.errors import UsageError


@instruction("language:response_language")
def response_language(text: str, *, language: str) -> bool:
    return _language(text) == language


@instruction("change_case:english_capital")
def english_capital(text: str) -> bool:
    return text.isupper() and _language(text.lower()) == "en"


@instruction("change_case:english_lowercase")
def english_lowercase(text: str) -> bool:
    return text.islower() and _language(text) == "en"


@instruction("change_case:capital_word_frequency")
def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: Relation) -> bool:
    return compare(sum(token.isupper() for token in tokens(text)), capital_relation, capital_frequency)


@instruction("count:lowercase_counting")
def lowercase_counting(text: str, *, N: int) -> bool:
    """At most this many words in lower case."""
    return len(_LOWERCASE.findall(text)) <= N


@instruction("punctuation:no_comma")
def no_comma(text: str) -> bool:
    return "," not in text


@instruction("punctuation:punctuation_dot")
def no_dot(text: str) -> bool:
    return "." not in text


@instruction("punctuation:punctuation_exclamation")
def no_exclamation(text: str) -> bool:
    return "!" not in text


@instruction("format:title_case")
def title_case(text: str) -> bool:
    """No token of two letters or more begins in lower case."""
    return not any(
        token[0].islower() and len(token) > 1 and (token[1:].islower() or token[1:].isupper())
        for token in tokens(text)
    )


_LOWERCASE = re.compile(r"\b[a-z]+\b")
_SAMPLE = 10_000
"""The characters of a text that decide on its language."""


def _language(text: str) -> str | None:
    """The ISO code of the language; None for a text without letters of one."""
    factory, error = _detection()
    detector = factory.create()
    try:
        detector.append(text[:_SAMPLE].encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        return detector.detect()
    except error:
        return None


@cache
def _detection() -> tuple[Any, type[Exception]]:
    """An own detector, so that the seed changes nothing for other users of the library."""
    try:
        import langdetect
        from langdetect.detector_factory import PROFILES_DIRECTORY
    except ImportError:
        raise UsageError(
            "instructions about a language need langdetect: pip install 'nemo-gym[instructions]'"
        ) from None
    factory: Any = langdetect.DetectorFactory()
    factory.load_profile(PROFILES_DIRECTORY)
    factory.seed = 0
    return factory, langdetect.LangDetectException
