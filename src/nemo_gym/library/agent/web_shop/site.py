"""The web site of the shop: an HTTP server on the loopback address, with one shop for each session."""

from __future__ import annotations

import contextlib
import secrets
import threading
import weakref
from collections.abc import Callable, Iterable
from html import escape
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from nemo_gym.library.agent.web_shop.shop import CATEGORIES, Address, Product, Refusal, Shop

PAGE: Final = 10
"""Products on a page of results."""
MAX_BODY: Final = 8 << 10
_HEADER: Final = "X-Shop-Session"


class Site:
    """The server, which starts with the first session and runs in threads of this process."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), daemon=True, name="web_shop"
        )
        thread.start()
        self._end = weakref.finalize(self, _stop, self._server, thread)

    @property
    def shops(self) -> dict[str, Shop]:
        """The open shops by the secret of their session."""
        return self._server.shops

    def open(self, shop: Shop) -> str:
        """Add a shop and return its secret."""
        secret = secrets.token_hex(16)
        self.shops[secret] = shop
        return secret

    def request(
        self, secret: str, method: str, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """The status and the page of a request with the secret of a session."""
        host, port = self._server.server_address[:2]
        connection = HTTPConnection(str(host), int(port), timeout=10)
        headers = {_HEADER: secret, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form, errors="replace").encode() if form is not None else None
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return response.status, response.read(1 << 16).decode("utf-8", "replace")
        except (OSError, HTTPException, ValueError) as error:
            return 400, f"The request failed: {type(error).__name__}."
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the server."""
        self._end()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.shops: dict[str, Shop] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    timeout = 10

    def do_GET(self) -> None:
        self._answer(lambda shop: _page(shop, self.path))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "0")
        size = int(length) if length.isdecimal() and len(length) < 6 else MAX_BODY + 1
        if size > MAX_BODY:
            self._send(413, "The form is too large.")
            return
        form = {name: values[-1] for name, values in parse_qs(self._body(size), max_num_fields=20).items()}
        self._answer(lambda shop: _act(shop, urlsplit(self.path).path, form))

    def log_message(self, format: str, *args: Any) -> None:
        """The site keeps no log."""

    def _body(self, size: int) -> str:
        return self.rfile.read(size).decode("utf-8", "replace")

    def _answer(self, respond: Callable[[Shop], str]) -> None:
        server = self.server
        shop = server.shops.get(self.headers.get(_HEADER, "")) if isinstance(server, _Server) else None
        if shop is None:
            self._send(403, "There is no such session.")
            return
        try:
            self._send(200, respond(shop))
        except LookupError:
            self._send(404, "There is no such page.")
        except (Refusal, ValueError) as error:
            self._send(400, str(error) if isinstance(error, Refusal) else "The form has a wrong value.")

    def _send(self, status: int, content: str) -> None:
        page = f"<html><body>\n{content}\n</body></html>".encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)


def _page(shop: Shop, target: str) -> str:
    parts = urlsplit(target)
    query = {name: values[-1] for name, values in parse_qs(parts.query, max_num_fields=20).items()}
    match parts.path.strip("/").split("/"):
        case [""]:
            return _home()
        case ["search"]:
            return _results(shop.products.values(), query)
        case ["product", number]:
            return _product(shop.products[_number(number)])
        case ["cart"]:
            return _lines("Cart", shop, shop.cart()) + _CHECKOUT
        case ["orders"]:
            orders = shop.orders()
            return "\n".join(_lines("Order", shop, lines) for _, lines in orders) or "<p>No orders yet.</p>"
        case _:
            raise LookupError(parts.path)


def _act(shop: Shop, path: str, form: dict[str, str]) -> str:
    match path.strip("/"):
        case "cart":
            shop.add(_number(form.get("product", "")), _number(form.get("quantity", "1")))
            return _lines("Cart", shop, shop.cart()) + _CHECKOUT
        case "cart/remove":
            shop.remove(_number(form.get("product", "")))
            return _lines("Cart", shop, shop.cart()) + _CHECKOUT
        case "checkout":
            address = Address(*(form.get(part, "")[:200] for part in ("name", "street", "city")))
            return f"<p>Thank you. Your order {shop.order(address)} is placed.</p>"
        case _:
            raise LookupError(path)


_CHECKOUT: Final = (
    '\n<form method="post" action="/cart/remove"><input name="product"></form>'
    '\n<form method="post" action="/checkout"><input name="name"><input name="street">'
    '<input name="city"></form>'
)


def _home() -> str:
    links = "\n".join(f'<a href="/search?category={name}">{name}</a>' for name in CATEGORIES)
    form = '<form action="/search"><input name="q"><input name="category"><input name="page"></form>'
    return f'<h1>Shop</h1>\n{links}\n{form}\n<a href="/cart">cart</a> <a href="/orders">orders</a>'


def _results(products: Iterable[Product], query: dict[str, str]) -> str:
    words = query.get("q", "").lower().split()
    category = query.get("category", "")
    hits = [
        product
        for product in products
        if category in ("", product.category)
        and all(word in f"{product.title} {product.category} {product.colour}".lower() for word in words)
    ]
    page = _number(query.get("page", "1"))
    shown = hits[(page - 1) * PAGE : page * PAGE]
    rows = "\n".join(
        f'<li><a href="/product/{each.id}">{each.title}</a> {each.colour} {each.category}, {each.price} EUR, '
        f"rating {each.rating} of 5</li>"
        for each in shown
    )
    return f"<p>{len(hits)} products, page {page} of {-(-len(hits) // PAGE)}</p>\n<ul>\n{rows}\n</ul>"


def _product(product: Product) -> str:
    return (
        f"<h1>{product.title}</h1>\n<p>Product {product.id}, {product.category}, {product.colour}, "
        f"{product.price} EUR, rating {product.rating} of 5</p>\n"
        f'<form method="post" action="/cart"><input name="product" value="{product.id}">'
        '<input name="quantity"></form>'
    )


def _lines(title: str, shop: Shop, lines: dict[int, int]) -> str:
    products = [(shop.products[number], quantity) for number, quantity in lines.items()]
    rows = "".join(
        f"<li>{quantity} x {escape(each.title)} (product {each.id})</li>\n" for each, quantity in products
    )
    total = sum(each.price * quantity for each, quantity in products)
    return f"<h1>{title}</h1>\n<ul>\n{rows}</ul>\n<p>Total {total} EUR</p>"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 7):
        raise Refusal(f"Not a whole number: {escape(text[:20])!r}.")
    return int(text)


def _stop(server: _Server, thread: threading.Thread) -> None:
    with contextlib.suppress(OSError):
        server.shutdown()
        thread.join(5)
        server.server_close()
