"""The state of a web shop: a generated catalogue, a cart and the orders, in a SQLite database."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any, Final

import msgspec

CATALOGUES: Final = 64
PRODUCTS: Final = 60
MAX_QUANTITY: Final = 20
CATEGORIES: Final = ("lamps", "kettles", "chairs", "bags", "clocks", "rugs")
COLOURS: Final = ("red", "blue", "green", "black", "white")
_BRANDS: Final = ("Norvik", "Alto", "Brume", "Castell", "Dray", "Eldon", "Fjell", "Garm")
_MODELS: Final = ("One", "Air", "Max", "Prime", "Studio", "Mini", "Classic", "Pro")
_ADDRESS: Final = ("name", "street", "city")


class Address(msgspec.Struct, frozen=True):
    """Where an order goes."""

    name: str
    street: str
    city: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product of the catalogue."""

    id: int
    title: str
    category: str
    colour: str
    price: int
    """In whole euros; no two products of a catalogue have the same."""
    rating: int
    """From 1 to 5."""


class Refusal(Exception):
    """The shop does not do what a request says."""


@lru_cache(maxsize=CATALOGUES)
def catalogue(number: int) -> dict[int, Product]:
    """The products of a catalogue, by id; the same number gives the same ones."""
    rng = random.Random(f"catalogue {number}")
    ids, prices = rng.sample(range(100, 1000), PRODUCTS), rng.sample(range(5, 400), PRODUCTS)
    titles = rng.sample([f"{brand} {model}" for brand in _BRANDS for model in _MODELS], PRODUCTS)
    return {
        id: Product(id, title, rng.choice(CATEGORIES), rng.choice(COLOURS), price, rng.randrange(1, 6))
        for id, title, price in zip(ids, titles, prices, strict=True)
    }


class Shop:
    """The shop of one session."""

    def __init__(self, number: int, cart: dict[int, int]) -> None:
        self.products = catalogue(number)
        self._lock = Lock()
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.executescript(
            "CREATE TABLE cart (product INTEGER PRIMARY KEY, quantity INTEGER NOT NULL);"
            "CREATE TABLE orders (id INTEGER PRIMARY KEY, name TEXT, street TEXT, city TEXT);"
            "CREATE TABLE lines (order_id INTEGER, product INTEGER, quantity INTEGER);"
        )
        self._database.executemany("INSERT INTO cart VALUES (?, ?)", cart.items())

    def add(self, product: int, quantity: int) -> None:
        """Put a product into the cart, in addition to what it holds.

        Raises:
            Refusal: there is no such product, or the quantity is out of range.
        """
        total = quantity + self.cart().get(product, 0)
        if product not in self.products:
            raise Refusal("There is no such product.")
        if quantity < 1 or total > MAX_QUANTITY:
            raise Refusal(f"The quantity must be from 1 to {MAX_QUANTITY}.")
        self._run("INSERT OR REPLACE INTO cart VALUES (?, ?)", product, total)

    def remove(self, product: int) -> None:
        """Take a product out of the cart."""
        self._run("DELETE FROM cart WHERE product = ?", product)

    def order(self, address: Address) -> int:
        """Order what is in the cart, and return the number of the order.

        Raises:
            Refusal: the cart is empty, or the address is not complete.
        """
        if not all(getattr(address, part).strip() for part in _ADDRESS):
            raise Refusal("The address needs a name, a street and a city.")
        cart = self.cart()
        if not cart:
            raise Refusal("The cart is empty.")
        self._run(
            "INSERT INTO orders (name, street, city) VALUES (?, ?, ?)", *msgspec.structs.astuple(address)
        )
        (number,) = self._run("SELECT max(id) FROM orders")[0]
        for product, quantity in cart.items():
            self._run("INSERT INTO lines VALUES (?, ?, ?)", number, product, quantity)
        self._run("DELETE FROM cart")
        return number

    def cart(self) -> dict[int, int]:
        """The quantity of each product in the cart."""
        return dict(self._run("SELECT product, quantity FROM cart ORDER BY product"))

    def orders(self) -> list[tuple[Address, dict[int, int]]]:
        """The address and the quantities of each order."""
        return [
            (
                Address(*address),
                dict(self._run("SELECT product, quantity FROM lines WHERE order_id = ?", number)),
            )
            for number, *address in self._run("SELECT id, name, street, city FROM orders ORDER BY id")
        ]

    def close(self) -> None:
        """Forget the state."""
        with self._lock:
            self._database.close()

    def _run(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(sql, values).fetchall()
