"""A server in several processes keeps its secrets from whoever lists processes."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.support.started import COUNTER, Gym

SECRET = "sk-very-secret-0123456789"
TOKEN = "token-0123456789-abcdef"
SEVERAL = COUNTER.replace('    print("settings"', '    pass; print("settings"') + (
    "from nemo_gym.server_utils import is_nemo_gym_fastapi_entrypoint\n"
    "if is_nemo_gym_fastapi_entrypoint(__file__):\n"
    "    app = CountServer.run_webserver()\n"
)


@pytest.fixture
def gym(tmp_path: Path):
    made = Gym(tmp_path)
    yield made
    made.clean()


def test_no_process_shows_a_secret_in_its_arguments_or_environment(gym: Gym) -> None:
    config = gym.program("counter", SEVERAL)
    setting = "+counter.resources_servers.counter"
    token = gym.folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    words = ("--config", config, f"{setting}.num_workers=2", f"{setting}.api_key={SECRET}")
    gym.start(*words, "--host", "0.0.0.0", "--token-file", token)
    url = gym.servers()["counter"]["url"].replace("0.0.0.0", "127.0.0.1")
    assert httpx.post(f"{url}/seed_session", json={}).status_code == 401
    known = {"authorization": f"Bearer {TOKEN}"}
    assert httpx.post(f"{url}/seed_session", json={}, headers=known).status_code == 200
    shown = {pid: argv + Path(f"/proc/{pid}/environ").read_text() for pid, argv in gym.processes().items()}
    workers = [text for text in shown.values() if "spawn_main" in text]
    assert len(workers) == 2
    for text in shown.values():
        for secret in (SECRET, TOKEN, "NEMO_GYM_COOKIE_SECRET", "NEMO_GYM_CONFIG_DICT"):
            assert secret not in text
    assert gym("env", "stop").returncode == 0
    assert gym.processes() == {}
