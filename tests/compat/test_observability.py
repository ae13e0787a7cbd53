"""What agents report, what model servers capture, and the trajectory that comes of both."""

from __future__ import annotations

import json
import sys
import types
from typing import Annotated, Any
from unittest.mock import MagicMock

import pytest
from fastapi import Body, FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from nemo_gym.base_responses_api_model import (
    BaseResponsesAPIModelConfig,
    CaptureStore,
    ModelCallRecord,
    SimpleResponsesAPIModel,
    _CaptureMiddleware,
    aggregate_model_call_metrics,
    merge_model_call_capture_into_record,
    read_model_call_records,
)
from nemo_gym.config_types import ModelServerRef
from nemo_gym.rollout_collection import _attach_trajectory_record
from nemo_gym.rollout_observability import (
    AgentEpisode,
    AgentInvocation,
    AgentObservationBundle,
    ContextCompactionObservation,
    ModelCallRef,
    ObservationGap,
    SandboxObservation,
    ToolCallObservation,
    TrajectoryRecord,
    TrajectoryToolCall,
    TrajectoryTurn,
    join_model_call_observations,
)
from nemo_gym.server_utils import ServerClient
from pydantic import ValidationError

from nemo_gym.capture.stores import FileCapture
from nemo_gym.compat.stream_reassembly import reassemble
from nemo_gym.wire.model_call import ModelCall
from nemo_gym.wire.streams import chat_events, message_events, response_events

Json = Annotated[dict[str, Any], Body()]
POLICY = ModelServerRef(type="responses_api_models", name="policy")
REPLY: dict[str, Any] = {
    "id": "resp_1",
    "created_at": 0.0,
    "model": "m",
    "object": "response",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"x":1}', "id": "fc_1"},
    ],
    "usage": {
        "input_tokens": 10,
        "output_tokens": 4,
        "total_tokens": 14,
        "input_tokens_details": {"cached_tokens": 3},
        "output_tokens_details": {"reasoning_tokens": 2},
    },
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "incomplete_details": None,
    "error": None,
}
COMPLETION: dict[str, Any] = {
    "id": "chat_1",
    "created": 0,
    "model": "m",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Hello",
                "reasoning_content": "hm",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"x":1}'}}
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "tool_use", "id": "c1", "name": "add", "input": {"x": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 5,
        "output_tokens": 4,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": 2,
    },
}
DIALECTS = {
    "responses": ("/v1/responses", REPLY, lambda: response_events(REPLY)),
    "chat": ("/v1/chat/completions", COMPLETION, lambda: chat_events(COMPLETION, include_usage=True)),
    "messages": ("/v1/messages", MESSAGE, lambda: message_events(MESSAGE)),
}


def captured_app(store: CaptureStore) -> FastAPI:
    """Every dialect, whole and streamed, behind the capture."""
    app = FastAPI()
    for path, answer, events in DIALECTS.values():

        def reply(body: Json, answer=answer, events=events) -> Any:
            if body.get("stream"):
                return StreamingResponse(events(), media_type="text/event-stream")
            return answer

        app.post(f"/ng-rollout/{{rollout}}{path}")(reply)
        app.post(path)(reply)
    app.add_middleware(_CaptureMiddleware, store=store, model_server_name="policy")
    return app


class TestCapture:
    @pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
    @pytest.mark.parametrize("dialect", DIALECTS)
    def test_a_call_of_a_rollout_becomes_the_same_record_in_every_dialect(self, tmp_path, dialect, streamed):
        store = CaptureStore(tmp_path)
        path, answer, _ = DIALECTS[dialect]

        with TestClient(captured_app(store)) as client:
            reply = client.post(f"/ng-rollout/3-0{path}", json={"stream": streamed})

        assert reply.status_code == 200
        assert streamed or reply.json() == answer
        [call] = read_model_call_records(store, "3-0")
        assert call.dialect == dialect
        assert call.model_ref == POLICY
        assert call.request == {"stream": streamed}
        assert (call.tokens_in, call.tokens_out, call.tokens_total) == (10, 4, 14)
        assert (call.cached_tokens, call.cache_hit) == (3, True)
        assert call.tool_calls == [{"call_id": "c1", "name": "add", "arguments": {"x": 1}}]
        assert call.reasoning_content == "hm"
        assert call.error_category is None
        assert call.latency_total_ms >= call.latency_ttft_ms >= 0
        if dialect != "responses":
            assert call.finish_reason in ("tool_calls", "tool_use")

    def test_a_call_without_a_rollout_is_not_captured(self, tmp_path):
        with TestClient(captured_app(CaptureStore(tmp_path))) as client:
            client.post("/v1/responses", json={})

        assert list(tmp_path.iterdir()) == []

    def test_failures_are_captured_with_their_category(self, tmp_path):
        store = CaptureStore(tmp_path)
        app = FastAPI()

        @app.post("/ng-rollout/{rollout}/v1/responses")
        async def reply(rollout: str, request: Request) -> Any:
            await request.body()
            if rollout == "raises":
                raise RuntimeError("broken")
            if rollout == "cut":
                return StreamingResponse(list(response_events(REPLY))[:1], media_type="text/event-stream")
            return PlainTextResponse(
                "slow down" if rollout == "busy" else "?", 429 if rollout == "busy" else 200
            )

        app.add_middleware(_CaptureMiddleware, store=store, model_server_name="policy")
        with TestClient(app, raise_server_exceptions=False) as client:
            for rollout in ("raises", "cut", "busy", "odd"):
                client.post(f"/ng-rollout/{rollout}/v1/responses", content=b"{not json")

        found = {name: read_model_call_records(store, name)[0] for name in ("raises", "cut", "busy", "odd")}
        assert {name: call.error_category for name, call in found.items()} == {
            "raises": "exception",
            "cut": "stream_truncated",
            "busy": "rate_limit",
            "odd": "capture_parse_error",
        }
        assert found["odd"].request_raw == "{not json"
        assert found["odd"].response_raw == "?"

    def test_a_model_server_captures_when_the_configuration_says_so(self, tmp_path):
        class Server(SimpleResponsesAPIModel):
            async def responses(self, body: Json) -> Any:  # type: ignore[override]
                return REPLY

            async def chat_completions(self, body: Json) -> Any:  # type: ignore[override]
                return COMPLETION

        client = MagicMock(spec=ServerClient)
        client.global_config_dict = {"observability_enabled": True, "model_call_capture_dir": str(tmp_path)}
        config = BaseResponsesAPIModelConfig(name="policy", host="", port=0, entrypoint="")
        app = Server(config=config, server_client=client).setup_webserver()

        with TestClient(app) as served:
            served.post("/ng-rollout/0-1/v1/responses", json={"input": "hi"})

        assert app.user_middleware[0].cls is _CaptureMiddleware
        assert aggregate_model_call_metrics(CaptureStore(tmp_path), "0-1")["num_calls"] == 1

    @given(st.binary() | st.lists(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "choices", "delta", "index", "message", "tool_calls", "usage", "content_block"]), inner), max_leaves=8)).map(lambda events: b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)))  # fmt: skip  # noqa: E501
    def test_a_stream_of_anything_is_put_together_or_is_none(self, data):
        for dialect in DIALECTS:
            answer, _ = reassemble(data, dialect)
            assert answer is None or isinstance(answer, dict)


class TestStore:
    async def test_it_reads_what_a_model_server_of_this_package_wrote(self, tmp_path):
        await FileCapture(tmp_path).record(
            ModelCall(
                rollout_id="0-0", model_call_id="call_1", dialect="responses", model_ref="policy",
                started_at=1.0, completed_at=2.0, latency_ms=1000.0, status_code=200,
                request={"input": "hi"}, response=REPLY,
            )
        )  # fmt: skip

        [call] = read_model_call_records(CaptureStore(tmp_path), "0-0")

        assert (call.model_call_id, call.model_ref, call.response_id) == ("call_1", POLICY, "resp_1")

    def test_a_row_gets_its_calls_without_payloads_unless_they_are_wanted(self, tmp_path):
        store = CaptureStore(tmp_path)
        for _ in range(2):
            store.record("0-0", {"model_call_id": "a", "latency_ms": 5.0, "request": {}, "response": REPLY})
        row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "reward": 1.0}

        merge_model_call_capture_into_record(row, [tmp_path])
        lean = row["ng_model_call_capture"]
        merge_model_call_capture_into_record(row, [tmp_path], include_payloads=True)

        assert lean["metrics"] == {
            "tokens_in": 20, "tokens_out": 8, "tokens_reasoning": 4, "tokens_total": 28, "cached_tokens": 6,
            "latency_total_ms": 10.0, "num_calls": 2,
        }  # fmt: skip
        assert [call["call_index"] for call in lean["calls"]] == [0, 1]
        assert "request" not in lean["calls"][0]
        assert "gaps" not in lean
        assert row["ng_model_call_capture"]["calls"][0]["response"] == REPLY
        assert row["reward"] == 1.0

    def test_what_is_missing_is_a_gap(self, tmp_path):
        store = CaptureStore(tmp_path)
        store.path_for("0-0").write_text('{"torn')
        row = {"_ng_task_index": 0, "_ng_rollout_index": 0}

        merge_model_call_capture_into_record(row, [tmp_path])

        codes = [gap["code"] for gap in row["ng_model_call_capture"]["gaps"]]
        assert codes == ["model_call_capture_incomplete", "model_call_capture_no_records"]

    def test_what_the_agent_reported_is_joined_with_what_was_captured(self, tmp_path):
        CaptureStore(tmp_path).record(
            "0-0", {"model_call_id": "a", "model_ref": POLICY.model_dump(), "response": REPLY}
        )
        named = {"model_ref": POLICY.model_dump(), "response_id": "resp_1"}
        invocation = {"kind": "agent_invocation", "invocation_id": "root", "model_calls": [named]}
        reported = {"source": "t", "records": [invocation]}
        row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "ng_agent_observations": reported}

        merge_model_call_capture_into_record(row, [tmp_path])

        [joined] = row["ng_agent_observations"]["records"][0]["model_calls"]
        assert joined == {"model_call_id": "a", **named}
        assert "gaps" not in row["ng_model_call_capture"]
        once = json.dumps(row["ng_agent_observations"])
        merge_model_call_capture_into_record(row, [tmp_path])
        assert json.dumps(row["ng_agent_observations"]) == once

    @pytest.mark.parametrize(
        "reported", [{"records": "none"}, 5, {"source": "t", "records": [{"kind": "?"}]}]
    )
    def test_what_can_not_be_joined_stays_and_is_a_gap(self, tmp_path, reported):
        CaptureStore(tmp_path).record("0-0", {"model_call_id": "a", "response": REPLY})
        row = {"_ng_task_index": 0, "_ng_rollout_index": 0, "ng_agent_observations": reported}

        merge_model_call_capture_into_record(row, [tmp_path])

        assert row["ng_agent_observations"] == reported
        assert [gap["code"] for gap in row["ng_model_call_capture"]["gaps"]] == [
            "agent_observation_join_failed"
        ]

    def test_an_agent_that_knows_the_calls_of_its_compactions_is_asked(self, tmp_path, monkeypatch):
        module = types.ModuleType("responses_api_agents.claude_code_agent.observability")
        module.associate_claude_code_compaction_calls = lambda bundle, calls: bundle.model_copy(
            update={"gaps": [ObservationGap(code=call.model_call_id) for call in calls]}
        )
        for name in ("responses_api_agents", "responses_api_agents.claude_code_agent"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.setitem(sys.modules, module.__name__, module)
        CaptureStore(tmp_path).record("0-0", {"model_call_id": "a", "response": REPLY})
        row = {"_ng_rollout_id": "0-0", "ng_agent_observations": {"source": "claude_code"}}

        merge_model_call_capture_into_record(row, [tmp_path])
        assert row["ng_agent_observations"]["gaps"][0]["code"] == "a"

        module.associate_claude_code_compaction_calls = None
        merge_model_call_capture_into_record(row, [tmp_path])
        assert "compaction_model_call_join_failed" in [
            gap["code"] for gap in row["ng_agent_observations"]["gaps"]
        ]

    def test_a_rollout_id_cannot_leave_the_folder(self, tmp_path):
        with pytest.raises(Exception, match="rollout id"):
            CaptureStore(tmp_path).record("../x", {})


class TestModels:
    @pytest.mark.parametrize("value", [{}, {"response_id": "r"}, {"model_ref": POLICY.model_dump()}])
    def test_a_reference_names_its_call(self, value):
        with pytest.raises(ValidationError, match="model_call_id or both model_ref and response_id"):
            ModelCallRef.model_validate(value)

    def test_invocation_ids_are_unique(self):
        with pytest.raises(ValidationError, match="invocation_id must be unique"):
            AgentObservationBundle(source="t", records=[AgentInvocation(invocation_id="a")] * 2)

    @pytest.mark.parametrize("links", [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}])
    def test_parents_form_no_cycle(self, links):
        records = [AgentInvocation(invocation_id=name, parent_invocation_id=up) for name, up in links.items()]
        with pytest.raises(ValidationError, match="parent_invocation_id must not form a cycle"):
            AgentObservationBundle(source="t", records=records)

    def test_a_parent_may_be_unobserved(self):
        AgentObservationBundle(
            source="t", records=[AgentInvocation(invocation_id="a", parent_invocation_id="elsewhere")]
        )

    @pytest.mark.parametrize(
        "make",
        [
            lambda: AgentInvocation(invocation_id="a", surprise=1),
            lambda: AgentInvocation(invocation_id="a", duration_ms=-1),
            lambda: ToolCallObservation(
                invocation_id="a", tool_call_id="c", started_at=2.0, completed_at=1.0
            ),
            lambda: ContextCompactionObservation(invocation_id="a", tokens_before=-1),
            lambda: SandboxObservation(role="agent", cpu_time_s=-1),
            lambda: SandboxObservation(role="bystander"),
            lambda: TrajectoryTurn(invocation_id="a", turn_no=0),
            lambda: ModelCallRecord(call_index=0, surprise=1),
        ],
    )
    def test_what_cannot_be_is_refused(self, make):
        with pytest.raises(ValidationError):
            make()

    def test_a_bundle_survives_json(self):
        bundle = AgentObservationBundle(
            source="t",
            records=[
                AgentInvocation(invocation_id="a", conversation=[{"role": "user", "content": "hi"}]),
                ToolCallObservation(invocation_id="a", tool_call_id="c", tool_name="bash", output={"x": 1}),
                SandboxObservation(role="verifier", outcome="oom"),
                ContextCompactionObservation(invocation_id="a", outcome="aborted"),
            ],
            gaps=[ObservationGap(code="x")],
        )

        again = AgentObservationBundle.model_validate_json(bundle.model_dump_json())

        assert again == bundle
        assert AgentEpisode(response=MagicMock(), observations=again).observations == bundle


def records(*names: str) -> list[ModelCallRecord]:
    return [
        ModelCallRecord(model_call_id=f"call-{name}", response_id=name, model_ref=POLICY, call_index=place)
        for place, name in enumerate(names)
    ]


def by_response(name: str) -> ModelCallRef:
    return ModelCallRef(model_ref=POLICY, response_id=name)


class TestJoin:
    def test_a_reference_is_completed_and_an_unclaimed_call_is_a_gap(self):
        bundle = AgentObservationBundle(
            source="t", records=[AgentInvocation(invocation_id="root", model_calls=[by_response("a")])]
        )

        joined = join_model_call_observations(bundle, records("a", "b"))

        assert joined.records[0].model_calls[0].model_call_id == "call-a"
        assert [(gap.code, gap.detail) for gap in joined.gaps] == [
            ("model_call_ownership_unavailable", "capture:call-b:call_index=1")
        ]
        assert bundle.records[0].model_calls[0].model_call_id is None

    def test_an_ambiguous_reference_is_not_guessed(self):
        bundle = AgentObservationBundle(
            source="t", records=[AgentInvocation(invocation_id="root", model_calls=[by_response("a")])]
        )

        joined = join_model_call_observations(bundle, records("a", "a"))

        assert joined.records[0].model_calls[0].model_call_id is None
        assert "model_call_reference_ambiguous" in {gap.code for gap in joined.gaps}

    def test_conflicts_and_strangers_are_gaps_and_joining_again_changes_nothing(self):
        references = [
            ModelCallRef(model_call_id="call-a"),
            by_response("a"),
            ModelCallRef(model_call_id="no"),
        ]
        bundle = AgentObservationBundle(
            source="t",
            records=[AgentInvocation(invocation_id="root", model_calls=references)],
            gaps=[ObservationGap(code="model_call_ownership_unavailable", detail="the agent's own")],
        )

        joined = join_model_call_observations(bundle, records("a"))

        assert join_model_call_observations(joined, records("a")) == joined
        assert {gap.code for gap in joined.gaps} == {
            "model_call_ownership_unavailable",
            "model_call_reference_conflict",
            "model_call_reference_unmatched",
        }

    def test_a_compaction_refers_to_calls_of_its_own_invocation(self):
        bundle = AgentObservationBundle(
            source="t",
            records=[
                AgentInvocation(invocation_id="root", model_calls=[by_response("a")]),
                AgentInvocation(invocation_id="other", model_calls=[by_response("b")]),
                ContextCompactionObservation(
                    invocation_id="root",
                    before_model_call=by_response("a"),
                    model_calls=[by_response("b"), by_response("c")],
                ),
            ],
        )

        joined = join_model_call_observations(bundle, records("a", "b", "c"))

        compaction = joined.records[2]
        assert compaction.before_model_call.model_call_id == "call-a"
        assert all(reference.model_call_id is None for reference in compaction.model_calls)
        assert {(gap.code, gap.detail) for gap in joined.gaps if gap.invocation_id == "root"} == {
            ("model_call_reference_conflict", "model_calls:call-b"),
            ("model_call_ownership_unavailable", "model_calls:call-c"),
        }


class TestTrajectory:
    def test_it_joins_what_the_agent_told_with_what_was_captured(self):
        told = TrajectoryRecord(
            task_id="",
            rollout_id="",
            invocations=[AgentInvocation(invocation_id="root")],
            turns=[TrajectoryTurn(invocation_id="root", turn_no=1, question="q", answer="a")],
            tool_calls=[TrajectoryToolCall(invocation_id="root", tool_call_id="c1", output="1")],
        )
        seen = AgentObservationBundle(
            source="t",
            records=[
                AgentInvocation(invocation_id="child", parent_invocation_id="root"),
                ToolCallObservation(invocation_id="root", tool_call_id="c1", output="2"),
                ToolCallObservation(invocation_id="child", tool_call_id="c1"),
            ],
        )
        result = {
            "ng_trajectory": told.model_dump(mode="json"),
            "ng_agent_observations": seen.model_dump(mode="json"),
            "ng_model_call_capture": {
                "calls": [
                    {"model_call_id": "x", "request": {"input": "q"}, "response": {"status": "completed"}}
                ],
                "gaps": [{"code": "model_call_capture_incomplete"}],
            },
        }

        _attach_trajectory_record({"_ng_task_index": 4, "_ng_rollout_index": 1}, result)

        record = TrajectoryRecord.model_validate_json(json.dumps(result["ng_trajectory"]))
        assert (record.task_id, record.rollout_id) == ("4", "4-1")
        assert (record.turns[0].task_id, record.turns[0].rollout_id) == ("4", "4-1")
        assert [each.invocation_id for each in record.invocations] == ["root", "child"]
        assert [(each.invocation_id, each.output) for each in record.tool_calls] == [
            ("root", "1"),
            ("child", None),
        ]
        assert record.model_calls[0].request == {"input": "q"}
        assert record.model_calls[0].response_metadata.response_status == "completed"
        assert "model_call_capture_incomplete" in {gap.code for gap in record.gaps}

    def test_nothing_observed_is_said(self):
        result: dict[str, Any] = {}

        _attach_trajectory_record({"_ng_task_index": 0, "_ng_rollout_index": 0}, result)

        codes = {gap["code"] for gap in result["ng_trajectory"]["gaps"]}
        assert codes == {"model_calls_unavailable", "agent_invocations_unavailable"}

    def test_what_cannot_be_put_together_is_a_gap_and_the_rollout_stays(self):
        call = {"model_call_id": "x", "latency_total_ms": -1, "request": {"input": "q"}}
        result = {"reward": 1.0, "ng_model_call_capture": {"calls": [call]}}

        _attach_trajectory_record({"_ng_task_index": 0, "_ng_rollout_index": 0}, result)

        assert "ng_trajectory" not in result
        assert result["ng_model_call_capture"]["gaps"][-1]["code"] == "trajectory_projection_failed"
        assert result["ng_model_call_capture"]["calls"] == [call]
        assert result["reward"] == 1.0
