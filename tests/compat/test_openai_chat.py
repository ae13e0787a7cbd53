"""Chat Completions requests of existing servers."""

from __future__ import annotations

from typing import Any

import pytest
from nemo_gym.openai_utils import NeMoGymChatCompletionCreateParamsNonStreaming

MESSAGES = [{"role": "user", "content": "q"}]


@pytest.mark.parametrize(
    "field",
    [
        {"moderation": {"model": "m"}},
        {"prompt_cache_key": "k"},
        {"prompt_cache_retention": "24h"},
        {"safety_identifier": "u"},
        {"verbosity": "low"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_what_newer_endpoints_understand_is_passed_on(field: dict[str, Any]) -> None:
    params = NeMoGymChatCompletionCreateParamsNonStreaming.model_validate({"messages": MESSAGES, **field})
    assert params.model_dump(exclude_unset=True) == {"messages": MESSAGES, **field}


def test_what_no_endpoint_understands_is_dropped() -> None:
    params = NeMoGymChatCompletionCreateParamsNonStreaming.model_validate(
        {"messages": MESSAGES, "unheard_of": 1}
    )
    assert params.model_dump(exclude_unset=True) == {"messages": MESSAGES}
