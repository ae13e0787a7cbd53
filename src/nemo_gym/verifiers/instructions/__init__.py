"""Checkers for instructions that a program can verify, such as "use at least 100 words".

The ids and arguments are those of the data sets IFEval and IFBench, and of the training set of IFBench.
"""

from nemo_gym.verifiers.instructions import (
    casing,
    copying,
    counts,
    custom,
    edges,
    formats,
    keywords,
    layout,
    lengths,
    sentences,
    words,
)
from nemo_gym.verifiers.instructions.following import Following, check_instructions, loose_variants
from nemo_gym.verifiers.instructions.registry import MAX_TEXT, REGISTRY, Check, find_instruction

GROUPS = (casing, copying, counts, custom, edges, formats, keywords, layout, lengths, sentences, words)
"""The modules whose checkers are registered."""

__all__ = [
    "GROUPS",
    "MAX_TEXT",
    "REGISTRY",
    "Check",
    "Following",
    "check_instructions",
    "find_instruction",
    "loose_variants",
]
