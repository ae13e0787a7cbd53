import json

from servers.guess.app import GuessConfig, GuessServer
from servers.sample import build, call, client_of, message, response, row

from nemo_gym.compat.openai_utils import NeMoGymResponse
from resources_servers.gymnasium import extract_text


def started(server, number):
    client = client_of(server)
    params = {"input": "Play."}
    first = client.post("/reset", json={"responses_create_params": params, "number": number}).json()
    return client, first


def act(client, *output, number=7):
    return client.post("/step", json=row(*output, number=number)).json()


def test_reset_gives_the_first_observation():
    _, first = started(build(GuessServer, GuessConfig), 7)
    assert first == {"observation": "Guess a number.", "info": {"tries": 3}}


def test_a_path_may_say_whose_rollout_it_is():
    client = client_of(build(GuessServer, GuessConfig))
    body = {"responses_create_params": {"input": "Play."}, "number": 7}
    assert client.post("/ng-rollout/0-0/reset", json=body).json()["observation"] == "Guess a number."


def test_an_episode_ends_when_it_is_won():
    server = build(GuessServer, GuessConfig)
    client, _ = started(server, 7)
    assert act(client, message("5"))["observation"] == "higher"
    won = act(client, message("7"))
    assert (won["reward"], won["terminated"], won["truncated"]) == (1.0, True, False)
    assert server.session_state == {}


def test_an_episode_is_truncated_after_the_last_try():
    client, _ = started(build(GuessServer, GuessConfig, tries=1), 7)
    lost = act(client, message("9"))
    assert (lost["observation"], lost["terminated"], lost["truncated"]) == ("lower", False, True)


def test_tool_calls_are_answered_in_info():
    client, _ = started(build(GuessServer, GuessConfig), 7)
    info = act(client, call("parity", "{}", call_id="c9"))["info"]
    assert info["tool_outputs"][0]["call_id"] == "c9"
    assert json.loads(info["tool_outputs"][0]["output"]) == {"parity": 1}


def test_sessions_are_apart():
    server = build(GuessServer, GuessConfig)
    client, _ = started(server, 7)
    other, _ = started(server, 3)
    assert len(server.session_state) == 2
    assert act(other, message("3"))["terminated"]
    assert act(client, message("3"))["observation"] == "higher"


def test_the_text_of_an_action_is_that_of_all_its_messages():
    easy = {"role": "assistant", "content": " and c", "type": "message"}
    told = {"role": "user", "content": "not this", "type": "message"}
    output = [message("a"), call("look", "{}"), message(" and b"), told, easy]
    action = NeMoGymResponse.model_validate(response(*output))
    assert extract_text(action) == "a and b and c"
    assert extract_text(NeMoGymResponse.model_validate(response())) == ""
