import pytest
from servers.grader.app import GraderConfig, GraderServer
from servers.sample import build, client_of, message, row


def client():
    return client_of(build(GraderServer, GraderConfig))


def graded(task, rollout, reward, answer, words, subject="algebra"):
    return {
        "_ng_task_index": task,
        "_ng_rollout_index": rollout,
        "reward": reward,
        "extracted_answer": answer,
        "words": words,
        "subject": subject,
        "response": {"usage": {"input_tokens": 3, "output_tokens": words, "total_tokens": 3 + words}},
    }


ROWS = [
    graded(0, 0, 1.0, "4", 5),
    graded(0, 1, 0.0, "5", 9),
    graded(1, 0, 0.0, None, 0, "geometry"),
    graded(1, 1, 0.0, "7", 2, "geometry"),
]


def test_declared_columns_are_echoed():
    found = (
        client().post("/verify", json=row(message("It is 4."), expected_answer="4", subject="algebra")).json()
    )
    assert (found["reward"], found["extracted_answer"], found["words"]) == (1.0, "4", 3)
    assert (found["expected_answer"], found["subject"]) == ("4", "algebra")


def test_a_structured_answer_is_echoed_with_the_schema_it_was_asked_for():
    text = {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}}
    body = row(message("It is 4."), expected_answer="4")
    body["responses_create_params"]["text"] = body["response"]["text"] = text

    answer = client().post("/verify", json=body)

    assert answer.status_code == 200
    assert answer.json()["responses_create_params"]["text"] == text
    assert answer.json()["response"]["text"]["format"]["schema"] == {"type": "object"}


def test_the_hooks_add_to_the_metrics_of_every_server():
    found = client().post("/aggregate_metrics", json={"verify_responses": ROWS}).json()
    metrics = found["agent_metrics"]
    assert metrics["mean/reward"] == 0.25
    assert metrics["std/words"] == pytest.approx(3.9157, abs=1e-4)
    assert metrics["mean/output_tokens"] == 4.0
    assert metrics["pass@1/accuracy"] == 25.0
    assert metrics["pass@2/accuracy"] == 50.0
    assert metrics["pass@1/no_answer"] == 25.0
    assert metrics["algebra/pass@2/accuracy"] == 100.0
    assert metrics["geometry/pass@2/accuracy"] == 0.0
    assert metrics["per_sample_aggregate"]["accuracy"] == [50.0, 0.0]


def test_key_metrics_are_picked():
    keys = client().post("/aggregate_metrics", json={"verify_responses": ROWS}).json()["key_metrics"]
    assert keys == {"mean/reward": 0.25, "pass@2/accuracy": 50.0, "majority@2/accuracy": 25.0}


def test_per_task_metrics_go_to_their_group():
    groups = (
        client().post("/aggregate_metrics", json={"verify_responses": ROWS}).json()["group_level_metrics"]
    )
    assert [(group["_ng_task_index"], group["longest"]) for group in groups] == [(0, 9), (1, 2)]
    assert [group["mean/reward"] for group in groups] == [0.5, 0.0]
    assert [info["rollout_id"] for info in groups[0]["rollout_infos"]] == ["0:0", "0:1"]


def test_no_rows_have_no_metrics():
    found = client().post("/aggregate_metrics", json={"verify_responses": []}).json()
    assert found == {"group_level_metrics": [], "agent_metrics": {}, "key_metrics": {}}


def test_a_row_that_names_no_task_is_refused_by_its_place():
    answer = client().post("/aggregate_metrics", json={"verify_responses": [*ROWS, {}]})
    assert answer.status_code == 422
    assert f"row {len(ROWS)}: _ng_task_index" in answer.text
