from typing import Any

from nemo_gym.base_resources_server import BaseResourcesServerConfig
from nemo_gym.openai_utils import NeMoGymResponse

from resources_servers.gymnasium import GymnasiumServer, extract_text


class GuessConfig(BaseResourcesServerConfig):
    tries: int = 3


class GuessServer(GymnasiumServer):
    config: GuessConfig

    async def reset(self, metadata: dict, session_id: str | None = None) -> tuple[str | None, dict]:
        self.session_state[session_id] = {"number": metadata["number"], "tries": 0}
        return "Guess a number.", {"tries": self.config.tries}

    async def step(
        self, action: NeMoGymResponse, metadata: dict, session_id: str | None = None
    ) -> tuple[str | None, float, bool, bool, dict]:
        state = self.session_state[session_id]
        calls = [item for item in action.output if item.type == "function_call"]
        if calls:
            outputs = [self.tool_output(call, {"parity": state["number"] % 2}) for call in calls]
            return None, 0.0, False, False, {"tool_outputs": outputs}
        state["tries"] += 1
        number = int(extract_text(action))
        if number == state["number"]:
            return None, 1.0, True, False, {}
        hint = "higher" if number < state["number"] else "lower"
        return hint, 0.0, False, state["tries"] >= self.config.tries, {}


Info = dict[str, Any]

if __name__ == "__main__":
    GuessServer.run_webserver()
