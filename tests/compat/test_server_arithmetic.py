from servers.arithmetic.app import ArithmeticConfig, ArithmeticServer
from servers.sample import build, client_of, message, row


def test_the_number_of_workers_is_a_setting():
    assert build(ArithmeticServer, ArithmeticConfig).config.num_workers == 2
    assert build(ArithmeticServer, ArithmeticConfig, num_workers=1).config.num_workers == 1


def test_answers_within_the_slack_are_right():
    client = client_of(build(ArithmeticServer, ArithmeticConfig, slack=0.5))
    rewards = [
        client.post("/verify", json=row(message(text), expected=4)).json()["reward"]
        for text in ("4", "4.4", "4.6", "four")
    ]
    assert rewards == [1.0, 1.0, 0.0, 0.0]


def test_a_number_that_could_not_be_parsed_is_null():
    client = client_of(build(ArithmeticServer, ArithmeticConfig))
    assert client.post("/verify", json=row(message("four"), expected=4)).json()["parsed"] is None
