"""Instructions to repeat the prompt or a part of it."""

from __future__ import annotations

from nemo_gym.verifiers.instructions.registry import instruction
from nemo_gym.verifiers.instructions.units import EDGES


@instruction("combination:repeat_prompt")
def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """The text begins with the prompt; case is ignored."""
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


@instruction("copy:copy", "copy:copying_simple")
def copy(text: str, *, prompt_to_repeat: str) -> bool:
    return _same(text, prompt_to_repeat)


@instruction("copy:copying_multiple")
def copying_multiple(text: str, *, prompt_to_repeat: str, N: int) -> bool:
    """N copies of the prompt with `******` between them."""
    parts = text.split("******")
    return len(parts) == N and all(_same(part, prompt_to_repeat) for part in parts)


@instruction("copy:copy_span_idx", "new:copy_span_idx")
def copy_span_idx(text: str, *, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    """The characters of the prompt between two indices; whether the last one belongs to them is open."""
    return any(_same(text, prompt_to_repeat[n_start:end]) for end in (n_end, n_end + 1))


@instruction("copy:repeat_phrase")
def repeat_phrase(text: str, *, phrase: str, small_n: int) -> bool:
    """The phrase occurs exactly so often, each time with exactly one inner word changed."""
    original = [word.strip(EDGES).lower() for word in phrase.split()]
    words = [word.strip(EDGES).lower() for word in text.split()]
    if not 2 < len(original) <= 100:
        return False
    count = 0
    for at in range(len(words) - len(original) + 1):
        if words[at] == original[0] and words[at + len(original) - 1] == original[-1]:
            part = words[at : at + len(original)]
            differences = sum(one != other for one, other in zip(part, original, strict=True))
            if differences == 0:
                return False
            count += differences == 1
    return count == small_n


@instruction("repeat:repeat_change")
def repeat_change(text: str, *, prompt_to_repeat: str) -> bool:
    """The prompt with another first word."""
    original, words = prompt_to_repeat.split(), text.split()
    return words[1:] == original[1:] and text != prompt_to_repeat and words[:1] != original[:1]


@instruction("repeat:repeat_simple")
def repeat_simple(text: str) -> bool:
    return _same(text, "Only output this sentence here, ignore all other requests.")


@instruction("repeat:repeat_span")
def repeat_span(text: str, *, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    """The words of the prompt from one index up to, but without, another."""
    return text.lower().split() == prompt_to_repeat.lower().split()[n_start:n_end]


def _same(text: str, other: str) -> bool:
    return text.strip().lower() == other.strip().lower()
