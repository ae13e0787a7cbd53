"""The web shop: its cases, hacks, oracle, and its server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from nemo_gym.environments.link import LocalEnvironment
from nemo_gym.library.agent.web_shop.environment import WebShop
from nemo_gym.library.agent.web_shop.shop import Shop, catalogue
from nemo_gym.library.agent.web_shop.site import Site
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import function_call
from nemo_gym.wire.task import task_to_row
from tests.library.playing import expected_reward, play, play_golden, play_oracle


@pytest.fixture(scope="module")
def environment() -> Iterator[WebShop]:
    environment = WebShop()
    yield environment
    environment.aclose()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


def test_golden_cases_earn_what_they_say(environment: WebShop) -> None:
    for case in environment.golden():
        assert play_golden(environment, case).value == expected_reward(environment, case), case.name


def test_hacks_do_not_pay_and_honest_answers_do(environment: WebShop) -> None:
    for hack in map(json.loads, (environment.folder() / "redteam.jsonl").read_text().splitlines()):
        reward = play(environment, hack["task"], hack["output"])
        assert reward.value == float(hack["expected"] == "full"), (hack["name"], reward.details)


@pytest.mark.parametrize("level", range(5))
def test_the_oracle_earns_all_and_an_empty_policy_nothing(level: int) -> None:
    environment = WebShop({"level": level})
    for task in environment.tasks("test", 3, 20):
        assert play_oracle(environment, task_to_row(task)).value == 1.0
        assert play(environment, task_to_row(task), "").details["reason"] == "no_order"
    environment.aclose()


@pytest.mark.parametrize("level", range(5))
def test_every_level_has_a_thousand_distinct_tasks(level: int) -> None:
    tasks = [task.goal for task in WebShop({"level": level}).tasks("train", 0, 1100)]
    assert len(set(tasks)) >= 1000


def test_a_description_fits_one_product_only() -> None:
    for task in WebShop({"level": 1}).tasks("test", 0, 50):
        titles = [product.title for product in catalogue(task.catalogue).values()]
        assert sum(f" the {title}." in task.goal for title in titles) == 1
    for number in range(20):
        assert len({product.price for product in catalogue(number).values()}) == 60


def test_the_pages_lead_from_the_search_to_the_order(site: Site) -> None:
    secret = site.open(Shop(3, {}))
    product = next(iter(catalogue(3).values()))
    assert "/search?category=lamps" in site.request(secret, "GET", "/", None)[1]
    query = f"/search?q={product.title.replace(' ', '+')}&category={product.category}"
    assert f'/product/{product.id}"' in site.request(secret, "GET", query, None)[1]
    assert f"{product.price} EUR" in site.request(secret, "GET", f"/product/{product.id}", None)[1]
    form = {"product": str(product.id), "quantity": "3"}
    assert f"Total {3 * product.price} EUR" in site.request(secret, "POST", "/cart", form)[1]
    address = {"name": "<b>A\ud800", "street": "S 1", "city": "C"}
    assert "order 1 is placed" in site.request(secret, "POST", "/checkout", address)[1]
    assert f"3 x {product.title}" in site.request(secret, "GET", "/orders", None)[1]


@pytest.mark.parametrize(
    ("method", "path", "form", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("GET", "/product/1", None, 404),
        ("GET", "/product/x", None, 400),
        ("GET", "/search?page=99999999", None, 400),
        ("POST", "/cart", {"product": "1"}, 400),
        ("POST", "/cart", {}, 400),
        ("POST", "/checkout", {"name": "A"}, 400),
        ("POST", "/checkout", {"name": "A", "street": "S", "city": "C"}, 400),
        ("POST", "/cart", {"product": "1" * 9000}, 413),
        ("POST", "/cart", {str(number): "1" for number in range(30)}, 400),
    ],
)
def test_a_wrong_request_is_refused(
    site: Site, method: str, path: str, form: dict[str, str] | None, status: int
) -> None:
    assert site.request(site.open(Shop(0, {})), method, path, form)[0] == status


def test_sessions_are_apart_and_a_stranger_is_refused(site: Site) -> None:
    one, other = site.open(Shop(0, {})), site.open(Shop(0, {}))
    product = str(next(iter(catalogue(0))))
    site.request(one, "POST", "/cart", {"product": product, "quantity": "1"})
    assert "Total 0 EUR" in site.request(other, "GET", "/cart", None)[1]
    assert site.request("", "GET", "/cart", None)[0] == 403
    assert site.request("0" * 32, "GET", "/cart", None)[0] == 403


@pytest.mark.parametrize(
    "path", ["", "x", "//host/", "http://host/", "/a b", "/\r\nX: y", "/\ud800", "/" + "a" * 600]
)
def test_a_path_stays_on_the_site(environment: WebShop, path: str) -> None:
    link = LocalEnvironment(environment)
    row = task_to_row(next(iter(environment.tasks("test", 0, 1))))

    async def answer() -> str:
        async with link.session(row) as session:
            arguments = json.dumps({"path": path})
            return await link.call(session, function_call("get", arguments, call_id="c"))

    assert asyncio.run(answer()).startswith('{"error":')


def test_the_server_ends_with_the_environment() -> None:
    environment = WebShop()
    row = task_to_row(next(iter(environment.tasks("test", 0, 1))))
    play(environment, row, "")
    host, port = environment.site._server.server_address[:2]
    environment.aclose()
    connection = HTTPConnection(str(host), int(port), timeout=60)
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")
    assert not [thread for thread in threading.enumerate() if "serve_forever" in thread.name]
    assert play_oracle(environment, row).value == 1.0
    environment.aclose()


def test_a_row_with_an_unknown_product_is_refused(environment: WebShop) -> None:
    row = task_to_row(next(iter(environment.tasks("test", 0, 1))))
    with pytest.raises(TaskUnfit, match="product 5 is not in catalogue"):
        play(environment, {**row, "lines": [{"product": 5, "quantity": 1}]}, "")
