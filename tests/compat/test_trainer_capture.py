"""A trainer's batches with token capture: the same rows at once, each put together from its own calls."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from nemo_gym.environments.environment_info import library
from tests.compat.trainer import Actor, message_log
from tests.conftest import StartEndpoint

MULTI_STEP = "resources_servers/example_multi_step/configs/example_multi_step.yaml"
AGENT = "example_multi_step_simple_agent"


def test_repeats_of_a_row_are_put_together_from_their_own_tokens(
    start_endpoint: StartEndpoint, tmp_path: Path
) -> None:
    folder = tmp_path / "tokens"
    actor = Actor(
        [start_endpoint("token_server.py")],
        MULTI_STEP,
        token_id_capture={"enabled": True, "all_agents": True, "dir": str(folder)},
        observability_enabled=True,
        model_call_capture_dir=str(tmp_path / "calls"),
    )
    line = (library()["example_multi_step"] / "data" / "example.jsonl").read_text().splitlines()[0]
    task: dict[str, Any] = {**json.loads(line), "agent_ref": {"name": AGENT}, "_ng_task_index": 0}
    rows = [{**task, "_ng_rollout_index": 0, "_rowidx": number} for number in range(4)]
    try:
        results = asyncio.run(actor.run_rollouts(rows))
    finally:
        actor.rh.shutdown()
    for result in results.values():
        calls = len(message_log(result)) // 2
        assert result["mask_sample"] is False
        assert result["_ng_token_capture"]["calls"] == calls
        assert result["ng_model_call_capture"]["metrics"]["num_calls"] == calls
    assert len({result["_ng_token_capture"]["rollout_id"] for result in results.values()}) == 4
    assert list(folder.iterdir()) == []
