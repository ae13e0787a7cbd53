"""Hypothesis strategies of configurations."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KEYS = st.sampled_from(["a", "b", "c", "name", "api_key"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.sampled_from(["", "x", "yes", "1e3"]))


def values(scalars: st.SearchStrategy[Any] = SCALARS) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=8,
    )


def trees(scalars: st.SearchStrategy[Any] = SCALARS) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(KEYS, values(scalars), max_size=4)
