"""The bugs and the tests of the warehouse."""

from __future__ import annotations

import random
from typing import Final

from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Kind, Module, Recorder
from nemo_gym.library.coding.swe_mini.repositories import warehouse
from nemo_gym.library.coding.swe_mini.repositories.warehouse import orders, quantities, reports, stock
from nemo_gym.library.coding.swe_mini.repositories.warehouse.stock import Stock

THINGS: Final = ("pear", "plum", "fig", "date", "nut", "apple", "melon", "quince")


def some_things(rng: random.Random, count: int) -> list[str]:
    return rng.sample(THINGS, count)


def full_stock(recorder: Recorder, counts: dict[str, int]) -> Stock:
    shelf = recorder.new("shelf", Stock)
    for name, count in counts.items():
        recorder.do(shelf.put, name, count)
    return shelf


def quantity(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(quantities.parse_quantity, f"{rng.randint(2, 99)} x {rng.choice(THINGS)}")


def capital_quantity(rng: random.Random, recorder: Recorder) -> CallTest:
    name = rng.choice(THINGS).title()
    return recorder.check(quantities.parse_quantity, f"{rng.randint(2, 99)} x {name}")


def no_quantity(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(quantities.parse_quantity, f"0 x {rng.choice(THINGS)}")


def boxes_left_over(rng: random.Random, recorder: Recorder) -> CallTest:
    size = rng.randint(3, 12)
    return recorder.check(quantities.pack, size * rng.randint(1, 9) + rng.randint(1, size - 1), size)


def full_boxes(rng: random.Random, recorder: Recorder) -> CallTest:
    size = rng.randint(3, 12)
    return recorder.check(quantities.pack, size * rng.randint(1, 9), size)


def uneven_parts(rng: random.Random, recorder: Recorder) -> CallTest:
    parts = rng.randint(3, 7)
    return recorder.check(
        quantities.split_evenly, parts * rng.randint(1, 5) + rng.randint(1, parts - 1), parts
    )


def put_again(rng: random.Random, recorder: Recorder) -> CallTest:
    (name,) = some_things(rng, 1)
    shelf = full_stock(recorder, {name: rng.randint(1, 9)})
    recorder.do(shelf.put, name, rng.randint(1, 9))
    return recorder.check(shelf.count, name)


def put_nothing(rng: random.Random, recorder: Recorder) -> CallTest:
    shelf = full_stock(recorder, {"pear": rng.randint(1, 9)})
    return recorder.check(shelf.put, rng.choice(THINGS), -rng.randint(0, 3))


def put_in_words(rng: random.Random, recorder: Recorder) -> CallTest:
    (name,) = some_things(rng, 1)
    shelf = recorder.new("shelf", Stock)
    recorder.do(shelf.put_text, f"{rng.randint(2, 9)} x {name}")
    return recorder.check(shelf.count, name)


def take_all(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_things(rng, 2)
    counts = {first: rng.randint(1, 9), second: rng.randint(1, 9)}
    shelf = full_stock(recorder, counts)
    recorder.do(shelf.take, first, counts[first])
    return recorder.check(shelf.names)


def take_too_many(rng: random.Random, recorder: Recorder) -> CallTest:
    (name,) = some_things(rng, 1)
    count = rng.randint(1, 9)
    return recorder.check(full_stock(recorder, {name: count}).take, name, count + 1)


def take_some(rng: random.Random, recorder: Recorder) -> CallTest:
    (name,) = some_things(rng, 1)
    shelf = full_stock(recorder, {name: rng.randint(5, 9)})
    recorder.do(shelf.take, name, rng.randint(1, 2))
    return recorder.check(shelf.take, name, rng.randint(1, 2))


def two_stocks(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_things(rng, 2)
    full_stock(recorder, {first: rng.randint(1, 9)})
    other = recorder.new("other", Stock)
    recorder.do(other.put, second, rng.randint(1, 9))
    return recorder.check(other.names)


def some_missing(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_things(rng, 2)
    counts = {first: rng.randint(2, 9), second: rng.randint(2, 9)}
    shelf = full_stock(recorder, counts)
    order = {first: counts[first], second: counts[second] + rng.randint(1, 5)}
    return recorder.check(orders.missing, shelf, order)


def delivered(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_things(rng, 2)
    shelf = full_stock(recorder, {first: rng.randint(5, 9), second: rng.randint(5, 9)})
    recorder.do(orders.deliver, shelf, {first: rng.randint(2, 4), second: rng.randint(2, 4)})
    return recorder.check(shelf.count, second)


def not_delivered(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_things(rng, 2)
    shelf = full_stock(recorder, {first: rng.randint(5, 9), second: 1})
    return recorder.check(orders.deliver, shelf, {first: rng.randint(1, 4), second: rng.randint(2, 9)})


def two_orders(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_things(rng, 3)
    one = {first: rng.randint(1, 9), second: rng.randint(1, 9)}
    return recorder.check(orders.merge_orders, [one, {first: rng.randint(1, 9), third: rng.randint(1, 9)}])


def low(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_things(rng, 3)
    limit = rng.randint(2, 6)
    shelf = full_stock(recorder, {first: limit, second: limit + 1, third: limit - 1})
    return recorder.check(reports.low_items, shelf, limit)


def boxes_by_name(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = some_things(rng, 2)
    shelf = full_stock(recorder, {first: rng.randint(11, 29), second: rng.randint(11, 29)})
    return recorder.check(reports.boxes, shelf, rng.randint(2, 4))


def largest_counts(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third = some_things(rng, 3)
    count = rng.randint(2, 9)
    shelf = full_stock(recorder, {first: count, second: count + 1, third: count + 2})
    return recorder.check(reports.largest, shelf, 2)


KIND: Final = Kind(
    warehouse,
    ("warehouse", "depot", "store_room", "storage"),
    (
        Module(
            quantities,
            (quantity, boxes_left_over, full_boxes, uneven_parts),
            (
                Bug(
                    "right.strip().lower()",
                    "right.strip()",
                    "A quantity whose name begins with a capital letter is kept as a thing of its own.",
                    "parse_quantity",
                    capital_quantity,
                ),
                Bug(
                    "if count < 1:\n        raise ValueError(f",
                    "if count < 0:\n        raise ValueError(f",
                    "A quantity of zero is read instead of being refused.",
                    "parse_quantity",
                    no_quantity,
                ),
                Bug(
                    "(count + size - 1) // size",
                    "count // size",
                    "When the things do not fill the last box, the number of boxes is too small.",
                    "pack",
                    boxes_left_over,
                ),
                Bug(
                    "(count + size - 1) // size",
                    "count // size + 1",
                    "When the things fill all boxes, there is a box too many.",
                    "pack",
                    full_boxes,
                ),
                Bug(
                    "base + 1 if number < rest",
                    "base + 1 if number <= rest",
                    "The parts of an uneven count add up to too much.",
                    "split_evenly",
                    uneven_parts,
                ),
            ),
        ),
        Module(
            stock,
            (put_again, put_in_words, take_some, two_stocks),
            (
                Bug(
                    "self._counts.get(name, 0) + count",
                    "count",
                    "Adding to a thing that is there already forgets what was there.",
                    "put",
                    put_again,
                ),
                Bug(
                    "if left == 0:",
                    "if left < 0:",
                    "A thing that was taken out completely is still in the list of names.",
                    "take",
                    take_all,
                ),
                Bug(
                    "if count > have:",
                    "if count > have + 1:",
                    "One can take more of a thing than there is.",
                    "take",
                    take_too_many,
                ),
                Bug(
                    "if count < 1:",
                    "if count < -9:",
                    "Adding a count of zero or less is not refused.",
                    "put",
                    put_nothing,
                ),
                Bug(
                    "        self._counts: dict[str, int] = {}",
                    "        self._counts = self._shared\n\n    _shared: dict[str, int] = {}",
                    "A new warehouse already holds the things of another one.",
                    "__init__",
                    two_stocks,
                ),
                Bug(
                    "self.put(name, count)",
                    "self.put(name)",
                    "A text with a count adds one thing only.",
                    "put_text",
                    put_in_words,
                ),
            ),
            needs=("quantities",),
        ),
        Module(
            orders,
            (some_missing, delivered, not_delivered, two_orders),
            (
                Bug(
                    "if lack > 0}",
                    "if lack >= 0}",
                    "Things that are there in just the right number count as missing.",
                    "missing",
                    some_missing,
                ),
                Bug(
                    "count - stock.count(name) for",
                    "stock.count(name) - count for",
                    "The list of missing things is wrong: it is empty when there is too little.",
                    "missing",
                    some_missing,
                ),
                Bug(
                    "stock.take(name, count)",
                    "stock.take(name)",
                    "A delivery leaves too many things in the stock.",
                    "deliver",
                    delivered,
                ),
                Bug(
                    "total.get(name, 0) + count",
                    "count",
                    "An order that puts several orders together is too small when they share a thing.",
                    "merge_orders",
                    two_orders,
                ),
            ),
            needs=("quantities", "stock"),
        ),
        Module(
            reports,
            (low, boxes_by_name, largest_counts),
            (
                Bug(
                    "stock.count(name) <= limit",
                    "stock.count(name) < limit",
                    "The report of what is low leaves out a thing whose count is the limit itself.",
                    "low_items",
                    low,
                ),
                Bug(
                    "pack(stock.count(name), size)",
                    "pack(size, stock.count(name))",
                    "The report of boxes shows one box for everything.",
                    "boxes",
                    boxes_by_name,
                ),
                Bug(
                    "(-pair[1], pair[0])",
                    "(pair[1], pair[0])",
                    "The report of the largest counts shows the smallest ones.",
                    "largest",
                    largest_counts,
                ),
            ),
            needs=("quantities", "stock"),
        ),
    ),
    {
        "Stock": ("Shelves", "Inventory", "Goods"),
        "put_text": ("put_line", "put_phrase"),
        "parse_quantity": ("read_quantity", "quantity_of"),
        "merge_orders": ("join_orders", "combine_orders"),
        "low_items": ("scarce_items", "items_to_buy"),
        "split_evenly": ("divide_evenly", "fair_parts"),
        "shelf": ("rack", "place"),
    },
)
