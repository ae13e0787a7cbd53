"""The replacements for names and modules of the original package that do not exist here."""

from __future__ import annotations

from typing import Final

_EXPORT: Final = (
    "a run exports nothing: give W&B or MLflow the files of the run afterwards, "
    "`<output>_aggregate_metrics.json` and the rollouts (docs/compat.md)"
)
_HUB: Final = "use `gym dataset upload` and `gym dataset download` (nemo_gym.datasets.hub)"
_GITLAB: Final = (
    "data sets go to a Hugging Face hub, `gym dataset upload`, or are fetched with MLflow's own client"
)
_MCP: Final = "set `expose_tools_over_mcp: true` on any resources server"
_RAY: Final = "there is no Ray here: work that blocks belongs in a thread or process pool"
_PROFILE: Final = "use `gym eval profile` (nemo_gym.runs.metrics)"
_COLLATE: Final = "use `gym dataset collate` (nemo_gym.datasets.collate)"
_COLLECT: Final = "use `gym eval run`, RolloutCollectionConfig, or nemo_gym.collect"
_LIST: Final = "use `gym list` (nemo_gym.config.catalogue)"
_STATUS: Final = "use `gym env status`, or GET /server_instances of the head server"
_INSTALL: Final = "`gym env start` makes the virtual environments (nemo_gym.serving.virtualenvs)"
_ANTHROPIC: Final = "every model server answers Anthropic Messages; the conversion is nemo_gym.wire.messages"
_WORKERS: Final = (
    "use `num_workers` in the settings of a server, and is_nemo_gym_fastapi_entrypoint in its program"
)
_INSTANCES: Final = "an instance of a configuration is nemo_gym.config.instances.Instance"

_NAMES: Final = {
    "the head server is nemo_gym.serving.head": "HeadServer",
    _MCP: "MCPResourcesServer MCPServerMetadata MCPSessionError RESERVED_MCP_TOOL_NAMES",
    "any POST route is a tool over MCP with `expose_tools_over_mcp: true`": "gym_tool",
    _RAY: "initialize_ray maybe_ray_cluster_exit ray_version",
    _PROFILE: "RewardProfiler RewardProfileConfig",
    _EXPORT: "get_wandb_run WANDBConfig MLFlowConfig ExporterConfig UploadRolloutsConfigMixin",
    _ANTHROPIC: "AnthropicConverter",
    _HUB: "JsonlDatasetHuggingFaceIdentifer BaseUploadJsonlDatasetHuggingFaceConfig "
    "UploadJsonlDatasetHuggingFaceConfig UploadJsonlDatasetHuggingFaceMaybeDeleteConfig "
    "DownloadJsonlDatasetHuggingFaceConfig HuggingFaceDatasetSource",
    _GITLAB: "UploadJsonlDatasetGitlabConfig JsonlDatasetGitlabIdentifer DownloadJsonlDatasetGitlabConfig "
    "DeleteJsonlDatasetGitlabConfig GitlabDatasetSource",
    _INSTANCES: "BaseServerTypeConfig ResponsesAPIModelServerTypeConfig "
    "ResourcesServerTypeConfig ResponsesAPIAgentServerTypeConfig BaseServerInstanceConfig "
    "ResponsesAPIModelServerInstanceConfig ResourcesServerInstanceConfig is_almost_server "
    "ResponsesAPIAgentServerInstanceConfig maybe_get_server_instance_config format_almost_server_warning",
    "the known settings are nemo_gym.config.settings": "NEMO_GYM_RESERVED_TOP_LEVEL_KEYS",
    "call materialize_prompts, or use `gym dataset render`": "MaterializePromptsConfig",
    "use CaptureStore": "ModelCallCaptureConfig make_capture_store",
    _COLLECT: "SharedRolloutCollectionConfig E2ERolloutCollectionConfig",
    "use `gym eval aggregate`": "RolloutAggregationConfig RolloutAggregationHelper",
    "use nemo_gym.wire.jsonl.read_rows": "loads_jsonl_line",
    "profiles are nemo_gym.serving.profiling": "ProfilingMiddlewareConfig ProfilingMiddlewareInputConfig",
    _STATUS: "ServerInstanceDisplayConfig StatusCommand status",
    _WORKERS: "IS_NEMO_GYM_FASTAPI_WORKER_KEY_NAME IS_NEMO_GYM_FASTAPI_ENTRYPOINT_KEY_NAME "
    "NEMO_GYM_FASTAPI_NUM_WORKERS is_nemo_gym_fastapi_worker set_is_nemo_gym_fastapi_worker "
    "set_is_nemo_gym_fastapi_entrypoint get_nemo_gym_fastapi_num_workers set_nemo_gym_fastapi_num_workers",
    "the client is closed with its event loop": "global_aiohttp_client_exit",
    "use `gym env start`, or RunHelper": "RunConfig run",
    "use `gym env test`": "TestConfig TestAllConfig test test_all",
    "use `gym env init`": "init_resources_server",
    "use `gym env resolve`": "dump_config",
    "use `gym env validate`": "validate",
    "use `gym env packages`": "PipListConfig pip_list",
    _LIST: "list_environments discover_environments",
    _INSTALL: "run_command setup_env_command",
    "errors of this package print themselves (nemo_gym.wire.errors)": "exit_cleanly_on_config_error",
    "use rich": "print_rich_table",
}

GONE: Final = {name: instead for instead, names in _NAMES.items() for name in names.split()}
"""The replacement of each name."""

GONE_MODULES: Final = {
    "nemo_gym.agent_registry": _LIST,
    "nemo_gym.anthropic_converter": _ANTHROPIC,
    "nemo_gym.anthropic_utils": _ANTHROPIC,
    "nemo_gym.cli.agents": _LIST,
    "nemo_gym.cli.dataset": "use `gym dataset`",
    "nemo_gym.cli.dev": "use `gym dev test`",
    "nemo_gym.cli.eval": "use `gym eval`, or nemo_gym.collect",
    "nemo_gym.cli.general": "use `gym --version`",
    "nemo_gym.cli.setup_command": _INSTALL,
    "nemo_gym.cli.utils": "use rich; errors of this package print themselves (nemo_gym.wire.errors)",
    "nemo_gym.cli_setup_command": _INSTALL,
    "nemo_gym.dataset_orchestrator": _HUB,
    "nemo_gym.exporters": _EXPORT,
    "nemo_gym.gitlab_utils": _GITLAB,
    "nemo_gym.hf_utils": _HUB,
    "nemo_gym.registry": _LIST,
    "nemo_gym.server_status": _STATUS,
    "nemo_gym.train_data_utils": _COLLATE,
}
"""The replacement of each module."""
