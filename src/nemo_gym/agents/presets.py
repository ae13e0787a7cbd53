"""Well-known coding agents as commands. With these arguments and variables they ask no questions, call the
rollout's model server, and don't use the settings or accounts of the user of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from nemo_gym.agents.command import Command
from nemo_gym.wire.errors import UsageError

Sandbox = str | Mapping[str, Any] | None


def mini_swe_agent(
    *,
    step_limit: int = 250,
    step_timeout: int = 600,
    timeout: float = 1800.0,
    program: str = "mini",
    sandbox: Sandbox = None,
) -> Command:
    """mini-SWE-agent 2 (`pip install mini-swe-agent`): a loop whose only tool is bash. Chat Completions.

    Args:
        step_limit: the most model calls.
        step_timeout: the most seconds of one bash command.
        timeout: the most seconds of the whole rollout.
        program: the command, or its path when it is in another virtual environment.
        sandbox: as `Command` takes it.
    """
    settings = (
        "mini.yaml",
        f"agent.step_limit={step_limit}",
        "agent.cost_limit=0",
        f"environment.timeout={step_timeout}",
    )
    return _preset(
        "pip install mini-swe-agent",
        argv=[
            program,
            "--agent-class=default",
            "--model=openai/{model}",
            "--output={home}/trajectory.json",
            *(f"--config={setting}" for setting in settings),
            "--task={prompt}",
        ],
        env={
            "OPENAI_BASE_URL": "{openai_base_url}",
            "OPENAI_API_KEY": "{api_key}",
            "MSWEA_CONFIGURED": "true",
            "MSWEA_COST_TRACKING": "ignore_errors",
            "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "3",
            "MSWEA_SILENT_STARTUP": "1",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        },
        timeout=timeout,
        sandbox=sandbox,
    )


def claude_code(
    *,
    max_turns: int = 30,
    timeout: float = 300.0,
    allowed_tools: Sequence[str] = (),
    disallowed_tools: Sequence[str] = (),
    bare: bool = True,
    mcp_config: str = "",
    settings: str = "",
    program: str = "claude",
    sandbox: Sandbox = None,
) -> Command:
    """Claude Code (`npm install -g @anthropic-ai/claude-code`), unattended. Anthropic Messages.

    Args:
        max_turns: the most model calls in the main conversation.
        timeout: the most seconds of the whole rollout.
        allowed_tools: names of the tools that it may use; an empty list allows all.
        disallowed_tools: names of the tools that it may not use.
        bare: whether to ignore the hooks, plugins and memory files of this machine.
        mcp_config: JSON text of its MCP servers; it may hold `{mcp_url}` and `{mcp_token}`.
        settings: JSON text of its settings.
        program: the command, or its path.
        sandbox: as `Command` takes it.
    """
    argv = [program, "--print", "--output-format=stream-json", "--verbose", "--model={model}"]
    argv += [f"--max-turns={max_turns}", "--dangerously-skip-permissions", "--strict-mcp-config"]
    if bare:
        argv.append("--bare")
    if allowed_tools:
        argv.append(f"--tools={','.join(allowed_tools)}")
    if disallowed_tools:
        argv.append(f"--disallowed-tools={','.join(disallowed_tools)}")
    files: dict[str, str] = {}
    for flag, text in (("mcp-config", mcp_config), ("settings", settings)):
        if text:
            files[f"{flag}.json"] = text
            argv.append(f"--{flag}={{home}}/{flag}.json")
    return _preset(
        "npm install -g @anthropic-ai/claude-code",
        argv=argv,
        env={
            "ANTHROPIC_BASE_URL": "{base_url}",
            "ANTHROPIC_API_KEY": "{api_key}",
            "ANTHROPIC_DEFAULT_HAIKU_MODEL": "{model}",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
            "IS_SANDBOX": "1",
        },
        files=files,
        stdin="{prompt}",
        timeout=timeout,
        sandbox=sandbox,
        # It exits with 1 when it has used up its turns.
        ok_exit_codes=(0, 1),
    )


def codex(
    *,
    sandbox_mode: Literal["read-only", "workspace-write", "danger-full-access"] | None = None,
    reasoning_effort: str = "",
    extra_config: Sequence[str] = (),
    timeout: float = 600.0,
    program: str = "codex",
    sandbox: Sandbox = None,
) -> Command:
    """Codex (`npm install -g @openai/codex`), unattended. Responses.

    Args:
        sandbox_mode: the rights of commands in Codex's own sandbox. By default `workspace-write`, or full
            access where `sandbox` is set.
        reasoning_effort: the effort that requests ask for; empty leaves it out.
        extra_config: lines `key=value` in TOML for its `--config`.
        timeout: the most seconds of the whole rollout.
        program: the command, or its path.
        sandbox: as `Command` takes it.
    """
    mode = sandbox_mode or ("workspace-write" if sandbox is None else "danger-full-access")
    config = [*extra_config, 'approval_policy="never"']
    if reasoning_effort:
        config.append(f'model_reasoning_effort="{reasoning_effort}"')
    return _preset(
        "npm install -g @openai/codex",
        argv=[
            program,
            "exec",
            "--json",
            "--skip-git-repo-check",
            f"--sandbox={mode}",
            "--model={model}",
            *(f"--config={line}" for line in config),
            "-",
        ],
        env={"CODEX_HOME": "{home}/.codex", "GYM_API_KEY": "{api_key}"},
        files={".codex/config.toml": _CODEX_CONFIG},
        stdin="{prompt}",
        timeout=timeout,
        sandbox=sandbox,
    )


_CODEX_CONFIG: Final = """\
model_provider = "gym"
check_for_update_on_startup = false
[model_providers.gym]
name = "gym"
base_url = "{openai_base_url}"
env_key = "GYM_API_KEY"
wire_api = "responses"
[analytics]
enabled = false
"""


def opencode(*, timeout: float = 600.0, program: str = "opencode", sandbox: Sandbox = None) -> Command:
    """OpenCode (`npm install -g opencode-ai`), unattended. Chat Completions.

    Args:
        timeout: the most seconds of the whole rollout.
        program: the command, or its path.
        sandbox: as `Command` takes it.
    """
    return _preset(
        "npm install -g opencode-ai",
        argv=[program, "run", "--format=json", "--auto", "--title=gym", "--model=gym/{model}"],
        env={
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "XDG_CONFIG_HOME": "{home}/.config",
        },
        files={".config/opencode/opencode.json": _OPENCODE_CONFIG},
        stdin="{prompt}",
        timeout=timeout,
        sandbox=sandbox,
    )


_OPENCODE_CONFIG: Final = """\
{
  "autoupdate": false,
  "share": "disabled",
  "small_model": "gym/{model}",
  "provider": {
    "gym": {
      "npm": "@ai-sdk/openai-compatible",
      "name": "gym",
      "options": {"baseURL": "{openai_base_url}", "apiKey": "{api_key}"},
      "models": {"{model}": {"name": "{model}"}}
    }
  }
}
"""


def _preset(install: str, **arguments: Any) -> Command:
    try:
        return Command(**arguments)
    except UsageError as error:
        raise UsageError(f"{error}: {install}") from None
