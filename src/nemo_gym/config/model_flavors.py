"""Ready configurations of models: `--model-type NAME/FLAVOR`, and files that other configurations include.

The settings of local models fit one node of eight 80 GB GPUs; change `vllm_serve_kwargs` for other machines.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from nemo_gym.config.tree import Tree
from nemo_gym.models.presets import PROVIDERS


class Flavor(NamedTuple):
    """The settings of a flavor that differ from those of its implementation."""

    settings: Tree
    instance: str = ""
    """The name of the instance; empty for the policy model, whose endpoint is in the `policy_*` values."""


def flavors(implementation: str) -> dict[str, Flavor]:
    """The ready configurations of an implementation, by name."""
    if implementation == "inference_provider":
        return {name: Flavor({"base_url": facts.url}) for name, facts in PROVIDERS.items()}
    return _FLAVORS.get(implementation, {})


def _openai(model: str) -> Flavor:
    settings: Tree = {"openai_base_url": "https://api.openai.com/v1", "openai_api_key": "???"}
    return Flavor({**settings, "openai_model": model}, _instance(model))


def _local(model: str, *, gpus: int = 1, settings: Tree | None = None, **serve: object) -> Flavor:
    kwargs: Tree = {"tensor_parallel_size": gpus, "gpu_memory_utilization": 0.9, **serve}
    return Flavor(
        {"model": model, **(settings or {}), "vllm_serve_kwargs": kwargs}, _instance(model.split("/")[-1])
    )


def _gpt_oss(model: str, effort: str, gpus: int) -> Flavor:
    settings: Tree = {"is_responses_native": True, "extra_body": {"reasoning": {"effort": effort}}}
    flavor = _local(
        model, gpus=gpus, settings=settings, enable_auto_tool_choice=True, tool_call_parser="openai"
    )
    return flavor._replace(instance=f"{flavor.instance}-reasoning-{effort}")


def _instance(model: str) -> str:
    """A model's name without dots, because dots separate the parts of a key."""
    return model.replace(".", "_")


_OPENAI: Final = (
    "gpt-4.1-2025-04-14",
    "gpt-5-2025-08-07",
    "gpt-5-nano-2025-08-07",
    "gpt-5.2-2025-12-11",
)
_TOOLS: Final[dict[str, Any]] = {"enable_auto_tool_choice": True, "tool_call_parser": "hermes"}
_QWEN3_5: Final[dict[str, Any]] = {
    "enable_auto_tool_choice": True,
    "tool_call_parser": "qwen3_coder",
    "reasoning_parser": "qwen3",
}
_PLAIN: Final[Tree] = {"uses_reasoning_parser": False}
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "Qwen/Qwen3-30B-A3B-Instruct-2507": {"settings": _PLAIN, **_TOOLS},
    "Qwen/Qwen3-30B-A3B-Thinking-2507": {**_TOOLS, "reasoning_parser": "deepseek_r1"},
    "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8": {"gpus": 4, "settings": _PLAIN, **_TOOLS},
    "Qwen/Qwen3.5-27B": _QWEN3_5,
    "Qwen/Qwen3.5-35B-A3B": {"gpus": 2, **_QWEN3_5},
    "Qwen/Qwen3.5-122B-A10B": {"gpus": 4, **_QWEN3_5},
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": {
        "trust_remote_code": True,
        "enable_auto_tool_choice": True,
        "tool_call_parser": "qwen3_coder",
        "reasoning_parser": "deepseek_r1",
    },
}
_LOCAL: Final = {
    **{model: _local(model, **options) for model, options in _OPTIONS.items()},
    **{
        f"openai/gpt-oss-120b-reasoning-{effort}": _gpt_oss("openai/gpt-oss-120b", effort, 2)
        for effort in ("low", "medium", "high")
    },
    "openai/gpt-oss-20b-reasoning-high": _gpt_oss("openai/gpt-oss-20b", "high", 1),
}
_FLAVORS: Final[dict[str, dict[str, Flavor]]] = {
    "openai_model": {f"OpenAI/{model}": _openai(model) for model in _OPENAI},
    "vllm_model": {
        "vllm_model": Flavor({"return_token_id_information": False, "uses_reasoning_parser": True}),
        "vllm_model_for_training": Flavor(
            {"return_token_id_information": True, "uses_reasoning_parser": True}
        ),
        "vllm_model_completions": Flavor(
            {
                "return_token_id_information": False,
                "uses_reasoning_parser": False,
                "use_completions_api": True,
                "render_chat_template": False,
            }
        ),
    },
    "local_vllm_model": _LOCAL,
    "local_vllm_model_proxy": {
        "local_vllm_model_proxy": Flavor(
            {"model_server": {"type": "responses_api_models", "name": "???"}}, "policy_model_proxy"
        )
    },
    "genrm_model": {
        "genrm_model": _local(
            "nvidia/Qwen3-Nemotron-235B-A22B-GenRM-2603",
            gpus=8,
            settings={"supports_principle_role": True},
            trust_remote_code=True,
        )._replace(instance="genrm_model")
    },
}
