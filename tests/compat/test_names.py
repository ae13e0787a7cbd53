"""Names that existing code imports, and what happens with those that are not kept."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import subprocess
import sys

import pytest

from nemo_gym.compat.gone import GONE, GONE_MODULES
from nemo_gym.compat.table import HOMES, TOP_LEVEL

NAMES = """
openai_utils: NeMoGymResponseCreateParamsNonStreaming NeMoGymResponse NeMoGymEasyInputMessage
openai_utils: NeMoGymResponseOutputMessage NeMoGymResponseOutputText NeMoGymResponseFunctionToolCall
openai_utils: NeMoGymFunctionCallOutput NeMoGymChatCompletion NeMoGymResponseReasoningItem NeMoGymSummary
openai_utils: NeMoGymResponseUsage NeMoGymChatCompletionCreateParamsNonStreaming NeMoGymResponseOutputItem
openai_utils: NeMoGymResponseInputTokensDetails NeMoGymResponseOutputTokensDetails NeMoGymAsyncOpenAI
openai_utils: accumulate_response_usage NeMoGymResponseOutputRefusal NeMoGymChatCompletionMessage
openai_utils: NeMoGymChoice NeMoGymResponseOutputMessageForTraining NeMoGymResponseInput
openai_utils: RATE_LIMIT_ERROR_CODES RETRY_ERROR_CODES NeMoGymResponseInputItem NeMoGymMessage
openai_utils: NeMoGymChatCompletionMessageParam NeMoGymChatCompletionMessageForTraining
openai_utils: NeMoGymResponseFunctionToolCallForTraining REQUIRED_TOKEN_METADATA_FIELDS TOKEN_METADATA_FIELDS
openai_utils: NeMoGymChatCompletionAssistantMessageForTrainingParam NeMoGymChatCompletionAssistantMessageParam
openai_utils: NeMoGymChatCompletionContentPartTextParam NeMoGymChatCompletionMessageToolCall
openai_utils: NeMoGymChatCompletionMessageToolCallFunctionParam NeMoGymChatCompletionMessageToolCallParam
openai_utils: NeMoGymChatCompletionSystemMessageParam NeMoGymChatCompletionToolMessageParam
openai_utils: NeMoGymChatCompletionUserMessageParam NeMoGymFunction NeMoGymFunctionToolParam
openai_utils: NeMoGymResponseInputText
server_utils: ServerClient raise_for_status get_response_json SESSION_ID_KEY request get_server_url
server_utils: get_first_server_config_dict is_nemo_gym_fastapi_entrypoint apply_rollout_prefix
server_utils: rollout_path_prefix get_global_aiohttp_client is_global_aiohttp_client_request_debug_enabled
server_utils: HEAD_SERVER_KEY_NAME BaseServerConfig
token_id_capture: TokenEntry TokenSink TokenSource CaptureContext current_capture_context
config_types: ModelServerRef ResourcesServerRef AggregateMetricsRequest AggregateMetrics BaseServerConfig
config_types: OmegaConf
base_resources_server: BaseVerifyResponse BaseVerifyRequest BaseResourcesServerConfig BaseRunRequest
base_resources_server: SimpleResourcesServer BaseSeedSessionRequest BaseSeedSessionResponse ReverifyMode
base_resources_server: AggregateMetricsRequest AggregateMetrics NeMoGymResponse NEMO_GYM_MCP_METADATA_KEY
base_resources_server: BaseMultiRewardVerifyResponse
base_responses_api_agent: BaseResponsesAPIAgentConfig SimpleResponsesAPIAgent Body AggregateMetricsRequest
base_responses_api_model: BaseResponsesAPIModelConfig SimpleResponsesAPIModel Body
reward_profile: compute_pass_majority_metrics highest_k_metrics compute_subset_metrics add_avg_sample_std_dev
global_config: TASK_INDEX_KEY_NAME ROLLOUT_INDEX_KEY_NAME get_global_config_dict get_first_server_config_dict
global_config: get_hf_token HF_TOKEN_KEY_NAME SKILLS_REF_KEY_NAME ATTEMPT_INDEX_KEY_NAME AGENT_REF_KEY_NAME
global_config: DISALLOWED_PORTS_KEY_NAME GlobalConfigDictParserConfig CACHE_DIR_KEY_NAME RESULTS_DIR_KEY_NAME
global_config: OmegaConf maybe_get_global_config_dict find_open_port DictConfig
judge: call_judge JudgeError reraise_judge_errors judge_failsafe
prompt: load_prompt_config PromptConfig fill_prompt apply_prompt_to_row
verifier_fixture: VerifierFixture VerifierFixtureError VerifierFixtureResult exercise_verifier_fixture
secret_utils: recursively_hide_secrets hide_secrets_in_overrides looks_like_secret_key MASKED_VALUE
global_config: UV_CACHE_DIR_KEY_NAME ConfigPathNotFoundError
config_types: ConfigMissingValuesError ServerRefNotFoundError
package_info: __version__
sandbox.api: AsyncSandbox Sandbox
sandbox.providers: SandboxProvider register_provider
path_utils: failures_path_for
skills: stage_skills
responses_converter: ResponsesConverter split_responses_input_output_items VLLMConverter
responses_converter: VLLMConverterResponsesToChatCompletionsState _usage_detail
mcp_auto_exposure: maybe_auto_expose
rollout_correlation: RolloutContextMiddleware
profiling: Profiler
server_metadata: ServerMetadata visit_agent_server visit_resources_server
rollout_observability: AgentInvocation AgentObservationBundle ObservationGap ToolCallObservation
rollout_observability: ContextCompactionObservation AgentEpisode ModelCallRef TrajectoryRecord
rollout_observability: TrajectoryToolCall TrajectoryTurn
sandbox: SandboxSpec AsyncSandbox SandboxResources resolve_provider_config resolve_provider_metadata
sandbox: SandboxStatus SandboxExecResult SandboxCreateError SandboxHandle register_provider Sandbox
sandbox: SandboxEndpoint list_providers get_provider_class create_provider rewrite_image
rollout_collection: NG_FAILURE_CLASS_KEY NG_NO_PERSIST_KEY NG_TERMINAL_KEY RolloutCollectionHelper
rollout_collection: _get_max_rollout_attempts RolloutCollectionConfig _attach_trajectory_record
sandbox.config: resolve_provider_config resolve_provider_metadata
benchmarks: BenchmarkConfig
base_responses_api_model: CaptureStore ModelCallRecord read_model_call_records
base_responses_api_model: merge_model_call_capture_into_record _CaptureMiddleware
base_responses_api_model: aggregate_model_call_metrics
base_resources_server: BaseResourcesServer
base_responses_api_agent: BaseResponsesAPIAgent
base_responses_api_model: BaseResponsesAPIModel
config_types: BaseNeMoGymCLIConfig BaseRunServerTypeConfig DatasetConfig is_server_ref AGENT_REF_KEY
skills: hash_skill_dir parse_skill_md load_skill_directory SkillsRef SKILL_MD_FILENAME
global_config: GlobalConfigDictParser
sandbox.providers.apptainer: ApptainerProvider provider
sandbox.providers.docker: DockerProvider DockerCreateConfig
sandbox.providers.base: SandboxCreateError SandboxExecResult
sandbox.utils: rewrite_image cpu_cap_env CPU_CAP_ENV_VARS
sandbox: SandboxPtySession
config_types: ROLLOUT_PATH_PREFIX
cli: GlobalConfigDictParserConfig RunHelper
"""

PAIRS = [
    (module, name)
    for module, names in (line.split(": ") for line in NAMES.strip().splitlines())
    for name in names.split()
]


@pytest.mark.parametrize(("module", "name"), PAIRS, ids=[f"{module}:{name}" for module, name in PAIRS])
def test_a_name_that_existing_code_imports_is_there(module: str, name: str) -> None:
    assert getattr(importlib.import_module(f"nemo_gym.{module}"), name) is not None


@pytest.mark.parametrize("name", sorted(TOP_LEVEL))
def test_the_package_itself_offers_what_authors_touch(name: str) -> None:
    assert getattr(importlib.import_module("nemo_gym"), name) is not None


@pytest.mark.parametrize("name", sorted(HOMES))
def test_an_original_module_is_the_one_here(name: str) -> None:
    assert importlib.import_module(name) is importlib.import_module(HOMES[name])


def test_a_room_of_the_same_name_offers_the_original_names_too() -> None:
    from nemo_gym.cli import GlobalConfigDictParserConfig

    assert GlobalConfigDictParserConfig(skip_load_from_cli=True).skip_load_from_cli
    assert not hasattr(importlib.import_module("nemo_gym.cli"), "nothing_like_it")


def test_a_patch_of_the_original_name_reaches_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    import nemo_gym.server_utils

    config = nemo_gym.server_utils.DictConfig(
        {"policy": {"responses_api_models": {"any": {"host": "h", "port": 1}}}}
    )
    monkeypatch.setattr("nemo_gym.server_utils.get_global_config_dict", lambda: config)
    assert nemo_gym.server_utils.get_server_url("policy") == "http://h:1"


def test_a_misspelt_name_is_told_its_neighbours() -> None:
    with pytest.raises(ImportError, match="Did you mean 'ServerClient'"):
        from nemo_gym.server_utils import ServerCliant  # noqa: F401


def test_a_name_in_the_wrong_module_is_told_its_home() -> None:
    importlib.import_module("nemo_gym.judge")
    with pytest.raises(ImportError, match=r"it is in nemo_gym\.judge"):
        from nemo_gym.prompt import call_judge  # noqa: F401


def test_a_name_is_looked_for_in_modules_that_nobody_has_loaded() -> None:
    code = "from nemo_gym.prompt import get_server_url"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "it is in nemo_gym.server_utils" in done.stderr


@pytest.mark.parametrize("name", sorted(GONE_MODULES))
def test_a_module_that_is_not_kept_is_told_its_successor(name: str) -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module(name)
    assert GONE_MODULES[name] in str(caught.value)


def test_what_is_in_a_module_that_is_not_kept_is_told_too() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"nemo_gym\.exporters is not kept: .*W&B"):
        importlib.import_module("nemo_gym.exporters.base")


@pytest.mark.parametrize("name", sorted(GONE))
def test_a_name_that_is_not_kept_is_told_its_successor(name: str) -> None:
    with pytest.raises(ImportError) as caught:
        getattr(importlib.import_module("nemo_gym.base_resources_server"), name)
    assert GONE[name] in str(caught.value)


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import nemo_gym

    with pytest.raises(AttributeError, match="SimpleResourceServer"):
        _ = nemo_gym.SimpleResourceServer
    assert not hasattr(nemo_gym, "nothing_like_it")


def test_original_modules_can_be_looked_up_without_loading_them() -> None:
    code = f"""
import sys, importlib.util
for name in {[*HOMES, *GONE_MODULES]}:
    assert importlib.util.find_spec(name) is not None, name
    assert name not in sys.modules, name
assert 'pydantic' not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_that_never_was_is_unknown() -> None:
    assert importlib.util.find_spec("nemo_gym.openai_utilities") is None
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'nemo_gym\.openai_utilities'"):
        importlib.import_module("nemo_gym.openai_utilities")


def test_an_object_of_an_original_module_can_be_pickled() -> None:
    kind = importlib.import_module("nemo_gym.openai_utils").NeMoGymEasyInputMessage
    message = kind(role="user", content="Look.")
    assert pickle.loads(pickle.dumps(message)) == message


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [("nemo_gym.package_info", 0, ""), ("nemo_gym.exporters", 1, "nemo_gym.exporters is not kept")],
)
def test_an_original_module_can_be_run(name: str, status: int, words: str) -> None:
    done = subprocess.run([sys.executable, "-m", name], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_the_package_loads_nothing_of_this() -> None:
    heavy = "('fastapi', 'pydantic', 'openai', 'aiohttp', 'omegaconf', 'nemo_gym.compat')"
    code = f"import sys, nemo_gym; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
