"""Order in a web shop by HTTP; the orders in its database decide."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cached_property
from threading import Lock
from typing import Annotated, Final

import msgspec

from nemo_gym import (
    Environment,
    Response,
    Reward,
    Session,
    Task,
    ToolError,
    ask,
    blocking,
    generate_tasks,
    tool,
)
from nemo_gym.environments.base import Config
from nemo_gym.library.agent.web_shop.shop import (
    CATALOGUES,
    CATEGORIES,
    COLOURS,
    MAX_QUANTITY,
    Address,
    Product,
    Shop,
    catalogue,
)
from nemo_gym.library.agent.web_shop.site import Site
from nemo_gym.wire.errors import TaskUnfit
from nemo_gym.wire.items import Item, function_call

_NAMES: Final = (
    "Ada Lund",
    "Bo Kerr",
    "Cleo Marsh",
    "Dan Ibsen",
    "Eva Novak",
    "Finn Hale",
    "Gita Rao",
    "Hugo Pell",
)
_STREETS: Final = ("Mill Lane", "Harbour Road", "Oak Street", "Station Square", "River Walk", "Chapel Hill")
_CITIES: Final = ("Arvik", "Belmora", "Corvale", "Dunmere", "Eskton")


class Line(msgspec.Struct):
    """A product and its quantity."""

    product: int
    quantity: Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)]


class ShopTask(Task):
    """What to order, and where it goes."""

    catalogue: Annotated[int, msgspec.Meta(ge=0, lt=CATALOGUES)]
    goal: str
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=10)]
    address: Address
    cart: list[Line] = []
    """What is in the cart at the start."""


class WebShop(Environment):
    """Order the right products in a web shop by HTTP, to the right address, and nothing else."""

    domain = "agent"
    restorable = True
    stateless = False
    Task = ShopTask

    class Config(Config):
        level: Annotated[int, msgspec.Meta(ge=0, le=4)] = 0
        """0 and 1 name the product, 2 describes it, 3 and 4 have two products, 4 a cart that is not empty."""

    @cached_property
    def site(self) -> Site:
        """The web site."""
        return Site()

    def tasks(self, split: str, seed: int, n: int | None) -> Iterator[ShopTask]:
        return generate_tasks(self, self.draw, key, split=split, seed=seed, n=n)

    def draw(self, rng: random.Random) -> ShopTask:
        """A task of the level of the settings."""
        level: int = self.config.level
        number = rng.randrange(CATALOGUES)
        products = catalogue(number)
        chosen = [describe(rng, products, level)]
        while level > 2 and len(chosen) < 2:
            if (other := describe(rng, products, level))[1] != chosen[0][1]:
                chosen.append(other)
        lines = [Line(product.id, rng.randrange(1, 6)) for _, product in chosen]
        address = Address(
            rng.choice(_NAMES), f"{rng.choice(_STREETS)} {rng.randrange(1, 90)}", rng.choice(_CITIES)
        )
        items = " and ".join(
            f"{line.quantity} of {text}" for (text, _), line in zip(chosen, lines, strict=True)
        )
        goal = f"Order {items}. Send it to {address.name}, {address.street}, {address.city}."
        others = [id for id in products if id not in {line.product for line in lines}]
        cart = [Line(rng.choice(others), rng.randrange(1, 4))] if level == 4 else []
        return ShopTask(
            responses_create_params=dict(ask(prompt(goal, lines[0], level))),
            catalogue=number,
            goal=goal,
            lines=lines,
            address=address,
            cart=cart,
        )

    @blocking
    def seed(self, task: ShopTask, session: Session) -> None:
        """Open a shop.

        Raises:
            TaskUnfit: the row names a product that the catalogue lacks.
        """
        products = catalogue(task.catalogue)
        for line in (*task.lines, *task.cart):
            if line.product not in products:
                raise TaskUnfit(f"product {line.product} is not in catalogue {task.catalogue}")
        with _LOCK:
            site = self.site
        shop = session.state["shop"] = Shop(
            task.catalogue, {line.product: line.quantity for line in task.cart}
        )
        session.state["secret"] = site.open(shop)

    @tool
    @blocking
    def get(self, session: Session, path: str) -> str:
        """Get a page of the shop.

        Args:
            path: The path with its query, such as `/search?q=blue+lamp&page=2`.
        """
        return self._request(session, "GET", path, None)

    @tool
    @blocking
    def post(self, session: Session, path: str, form: dict[str, str]) -> str:
        """Send a form to the shop.

        Args:
            path: The path, such as `/cart`.
            form: The fields of the form, each a text.
        """
        if sum(len(name) + len(value) for name, value in form.items()) > 2000:
            raise ToolError("The form is too large.")
        return self._request(session, "POST", path, form)

    def _request(self, session: Session, method: str, path: str, form: dict[str, str] | None) -> str:
        plain = path.isascii() and path.isprintable() and " " not in path
        if not path.startswith("/") or path.startswith("//") or not plain or len(path) > 500:
            raise ToolError("The path must begin with one slash, have no blanks, and stay on this site.")
        status, page = self.site.request(session.state["secret"], method, path, form)
        return page if status == 200 else f"HTTP {status}\n{page}"

    def verify(self, task: ShopTask, response: Response, session: Session) -> Reward:
        shop: Shop = session.state["shop"]
        reason = problem(task, shop)
        details = {"extracted_answer": len(shop.orders()), "reason": reason or "right"}
        return Reward(float(not reason), details=details)

    def close(self, session: Session) -> None:
        """Forget the shop."""
        if "secret" in session.state:
            self.site.shops.pop(session.state["secret"], None)
            session.state["shop"].close()

    def aclose(self) -> None:
        """Stop the web site; a later session starts another one."""
        if site := vars(self).pop("site", None):
            site.close()

    def oracle(self, task: ShopTask, session: Session) -> str | list[Item]:
        turn: int = session.state.get("oracle_turn", 0)
        session.state["oracle_turn"] = turn + 1
        steps = [
            *(("/cart/remove", {"product": str(line.product)}) for line in task.cart),
            *(
                ("/cart", {"product": str(each.product), "quantity": str(each.quantity)})
                for each in task.lines
            ),
            ("/checkout", msgspec.structs.asdict(task.address)),
        ]
        if turn < len(steps):
            path, form = steps[turn]
            return [function_call("post", json.dumps({"path": path, "form": form}), call_id=f"call_{turn}")]
        return "The order is placed."


_LOCK: Final = Lock()


def problem(task: ShopTask, shop: Shop) -> str:
    """What is wrong with the orders; empty when they are right."""
    orders = shop.orders()
    if len(orders) != 1:
        return "no_order" if not orders else "several_orders"
    address, lines = orders[0]
    expected: dict[int, int] = {}
    for line in task.lines:
        expected[line.product] = expected.get(line.product, 0) + line.quantity
    if lines.keys() != expected.keys():
        return "wrong_products"
    if lines != expected:
        return "wrong_quantity"
    return "" if plain(address) == plain(task.address) else "wrong_address"


def plain(address: Address) -> list[str]:
    """An address without regard to case and blanks."""
    return [" ".join(part.lower().split()) for part in msgspec.structs.astuple(address)]


def describe(rng: random.Random, products: dict[int, Product], level: int) -> tuple[str, Product]:
    """Words that fit one product only, and the product."""
    if level < 2:
        product = rng.choice(list(products.values()))
        return (f"the {product.title}" if level else f"product {product.id}"), product
    while True:
        category, colour, rating = rng.choice(CATEGORIES), rng.choice(COLOURS), rng.randrange(1, 5)
        end, choose = rng.choice((("cheapest", min), ("most expensive", max)))
        hits = [each for each in products.values() if each.category == category and each.rating >= rating]
        if rng.random() < 0.5:
            colour = ""
        hits = [each for each in hits if colour in ("", each.colour)]
        if len(hits) > 1:
            words = f"the {end} of the {colour} {category} with a rating of at least {rating}"
            return " ".join(words.split()), choose(hits, key=lambda each: each.price)


def key(task: ShopTask) -> str:
    """What makes a task a different one: its catalogue and goal."""
    return f"{task.catalogue}: {task.goal}"


def prompt(goal: str, line: Line, level: int) -> str:
    """The request; at level 0 with the requests to send."""
    how = (
        f"\nPost to /cart the form product={line.product}, quantity={line.quantity}; then post to /checkout "
        "the form name, street, city."
        if level == 0
        else "\nIts home page is /. The cart may hold things already; they don't belong to the order."
    )
    return (
        f"You shop for somebody in a web shop, with the tools `get` and `post`. {goal} Order once and "
        f"nothing else.{how}"
    )
