from typing import Any

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.reward_profile import compute_pass_majority_metrics, compute_subset_metrics, highest_k_metrics


class GraderConfig(BaseResourcesServerConfig):
    pass


class GraderVerifyRequest(BaseVerifyRequest):
    expected_answer: str
    subject: str = "all"


class GraderVerifyResponse(GraderVerifyRequest, BaseVerifyResponse):
    extracted_answer: str | None = None
    words: int = 0


class GraderServer(SimpleResourcesServer):
    config: GraderConfig

    async def verify(self, body: GraderVerifyRequest) -> GraderVerifyResponse:
        words = body.response.output_text.split()
        answer = words[-1].strip(".") if words else None
        return GraderVerifyResponse(
            **body.model_dump(),
            reward=float(answer == body.expected_answer),
            extracted_answer=answer,
            words=len(words),
        )

    def compute_metrics(self, tasks: list[list[dict[str, Any]]]) -> dict[str, Any]:
        metrics, _, _, _ = compute_pass_majority_metrics(
            tasks, score_fn=lambda row: {"accuracy": row["reward"]}, answer_key="extracted_answer"
        )
        metrics.update(compute_subset_metrics(tasks, "subject", answer_key="extracted_answer"))
        metrics["per_task_metrics"] = [
            {"_ng_task_index": rows[0]["_ng_task_index"], "longest": max(row["words"] for row in rows)}
            for rows in tasks
        ]
        return metrics

    def get_key_metrics(self, agent_metrics: dict[str, Any]) -> dict[str, Any]:
        return {
            "mean/reward": agent_metrics["mean/reward"],
            **highest_k_metrics(agent_metrics, "pass@{k}", score_names=["accuracy"]),
            **highest_k_metrics(agent_metrics, "majority@{k}", exclude_names=["no_answer"]),
        }


if __name__ == "__main__":
    GraderServer.run_webserver()
