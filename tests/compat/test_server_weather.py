from servers.sample import build, call, client_of, message, row
from servers.weather.app import WeatherConfig, WeatherServer


def client():
    return client_of(build(WeatherServer, WeatherConfig))


def test_a_tool_route_validates_and_answers():
    found = client().post("/get_forecast", json={"city": "Oslo", "days": 2})
    assert found.status_code == 200
    assert found.json() == {"city": "Oslo", "forecast": ["snow", "snow"]}


def test_bad_arguments_are_422_in_fastapis_form():
    found = client().post("/get_forecast", json={"days": "many"})
    assert found.status_code == 422
    problems = {tuple(problem["loc"]): problem["type"] for problem in found.json()["detail"]}
    assert problems == {("body", "city"): "missing", ("body", "days"): "int_parsing"}


def test_verify_sees_calls_and_text_and_drops_undeclared_columns():
    body = row(call("get_forecast", "{}"), message("It will snow."), expected="snow", other=1)
    found = client().post("/verify", json=body).json()
    assert (found["reward"], found["asked"]) == (1.0, True)
    assert "other" not in found
    assert "expected" not in found  # the response model doesn't declare it
    assert found["response"]["output"][0]["name"] == "get_forecast"


def test_the_answer_alone_is_worth_nothing():
    assert client().post("/verify", json=row(message("snow"), expected="snow")).json()["reward"] == 0.0


def test_an_unknown_request_parameter_is_refused():
    body = row(message("snow"), expected="snow")
    body["responses_create_params"]["temperatura"] = 1
    found = client().post("/verify", json=body)
    assert found.status_code == 422
    assert found.json()["detail"][0]["loc"] == ["body", "responses_create_params", "temperatura"]


def test_seeding_takes_any_row():
    found = client().post(
        "/seed_session", json={"responses_create_params": {"input": "x"}, "expected": "snow"}
    )
    assert (found.status_code, found.json()) == (200, {})
