"""The bugs and the tests of the planner."""

from __future__ import annotations

import random
from typing import Final

from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Kind, Module, Recorder
from nemo_gym.library.coding.swe_mini.repositories import planner
from nemo_gym.library.coding.swe_mini.repositories.planner import bookings, clock, jobs, slots
from nemo_gym.library.coding.swe_mini.repositories.planner.bookings import Bookings

ROOMS: Final = ("north", "south", "attic", "cellar", "hall")
JOBS: Final = ("bake", "clean", "paint", "pack", "sort", "weigh")


def hour(number: int, minutes: int = 0) -> str:
    return f"{number:02}:{minutes:02}"


def some_time(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(clock.parse_time, hour(rng.randint(1, 23), rng.randint(1, 59)))


def no_time(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(clock.parse_time, f"{rng.randint(1, 22)}:{rng.randint(60, 99)}")


def time_text(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(clock.format_time, rng.randint(0, 9) * 60 + rng.randint(1, 9))


def next_day(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(clock.format_time, 24 * 60 + rng.randint(0, 9) * 60 + rng.randint(0, 59))


def same_day(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(clock.between, hour(rng.randint(1, 9)), hour(rng.randint(10, 23)))


def over_midnight(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(clock.between, hour(rng.randint(20, 23)), hour(rng.randint(1, 9), 30))


def touching(rng: random.Random, recorder: Recorder) -> CallTest:
    start, middle, end = sorted(rng.sample(range(600), 3))
    pair = [(start, middle), (middle, end)]
    rng.shuffle(pair)
    return recorder.check(slots.overlap, *pair)


def inside(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third, fourth = sorted(rng.sample(range(600), 4))
    return recorder.check(slots.overlap, (first, fourth), (second, third))


def merge_touching(rng: random.Random, recorder: Recorder) -> CallTest:
    start, middle, end = sorted(rng.sample(range(600), 3))
    return recorder.check(slots.merge_slots, [(middle, end), (start, middle), (700, rng.randint(710, 800))])


def merge_inside(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third, fourth = sorted(rng.sample(range(600), 4))
    return recorder.check(slots.merge_slots, [(first, fourth), (second, third)])


def merge_unsorted(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third, fourth = sorted(rng.sample(range(600), 4))
    return recorder.check(slots.merge_slots, [(third, fourth), (first, second)])


def free_at_end(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third, fourth = sorted(rng.sample(range(1, 600), 4))
    return recorder.check(slots.free_slots, [(first, second), (third, fourth)], (0, rng.randint(610, 700)))


def free_with_inner(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second, third, fourth = sorted(rng.sample(range(1, 600), 4))
    return recorder.check(slots.free_slots, [(first, second), (third, fourth)], (first, fourth))


def booked(rng: random.Random, recorder: Recorder) -> tuple[Bookings, str, int]:
    """Bookings with one of a room, from an hour to the second next one."""
    book = recorder.new("book", Bookings)
    room, start = rng.choice(ROOMS), rng.randint(5, 15)
    recorder.do(book.book, room, hour(start), hour(start + 2))
    return book, room, start


def book_after(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    return recorder.check(book.book, room, hour(start + 2), hour(start + rng.randint(3, 6)))


def book_across(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    return recorder.check(book.book, room, hour(start - rng.randint(1, 4)), hour(start + rng.randint(3, 6)))


def book_twice(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    recorder.do(book.book, room, hour(start + 3), hour(start + 4, rng.randint(1, 59)))
    return recorder.check(book.minutes, room)


def book_nothing(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    return recorder.check(book.book, room, hour(start + 4), hour(start + 4))


def other_room(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    other = rng.choice([each for each in ROOMS if each != room])
    return recorder.check(book.book, other, hour(start), hour(start + 1))


def cancelled(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    recorder.do(book.cancel, room, hour(start))
    return recorder.check(book.book, room, hour(start), hour(start + rng.randint(1, 4)))


def not_cancelled(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    return recorder.check(book.cancel, room, hour(start + 1, rng.randint(0, 59)))


def free_in_room(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    return recorder.check(book.free, room, hour(start - rng.randint(1, 4)), hour(start + rng.randint(3, 6)))


def free_within(rng: random.Random, recorder: Recorder) -> CallTest:
    book, room, start = booked(rng, recorder)
    return recorder.check(book.free, room, hour(start - 4), hour(start - rng.randint(1, 3)))


def chain(rng: random.Random) -> dict[str, list[str]]:
    """Four jobs: the third and the fourth need the first, whose name is the last of the alphabet."""
    first, second, third, fourth = sorted(rng.sample(JOBS, 4), reverse=True)
    needs = {first: [], second: [first], third: [first], fourth: [second, third]}
    return dict(rng.sample(sorted(needs.items()), 4))


def job_order(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(jobs.order_jobs, chain(rng))


def circle(rng: random.Random, recorder: Recorder) -> CallTest:
    first, second = rng.sample(JOBS, 2)
    return recorder.check(jobs.order_jobs, {first: [second], second: [first]})


def ends(rng: random.Random, recorder: Recorder) -> CallTest:
    needs = chain(rng)
    lengths = dict(zip(needs, rng.sample(range(1, 30), 4), strict=True))
    return recorder.check(jobs.finish_times, needs, lengths)


def duty(rng: random.Random, recorder: Recorder) -> CallTest:
    people = rng.sample(["Ada", "Ben", "Cleo", "Dan", "Eve"], rng.randint(3, 4))
    return recorder.check(jobs.rotate, people, rng.randint(5, 9))


def shifted_duty(rng: random.Random, recorder: Recorder) -> CallTest:
    people = rng.sample(["Ada", "Ben", "Cleo", "Dan", "Eve"], 5)
    return recorder.check(jobs.rotate, people, rng.randint(3, 7), rng.randint(2, 4))


KIND: Final = Kind(
    planner,
    ("planner", "agenda", "schedule", "diary"),
    (
        Module(
            clock,
            (some_time, time_text, same_day, next_day),
            (
                Bug(
                    "int(hours) * 60",
                    "int(hours) * 100",
                    "Lengths of time that are computed from times of the day are too large.",
                    "parse_time",
                    some_time,
                ),
                Bug(
                    "int(minutes) >= 60 or",
                    "int(minutes) > 99 or",
                    "A time with 60 minutes or more is not refused.",
                    "parse_time",
                    no_time,
                ),
                Bug(
                    "{hours:02}:{rest:02}",
                    "{hours:02}:{rest}",
                    "The minutes of a time have one digit only when they are below ten.",
                    "format_time",
                    time_text,
                ),
                Bug(
                    "minutes % DAY, 60",
                    "minutes, 60",
                    "A time after midnight is shown with more than 24 hours.",
                    "format_time",
                    next_day,
                ),
                Bug(
                    "(parse_time(end) - parse_time(start)) % DAY",
                    "abs(parse_time(end) - parse_time(start))",
                    "The time from an evening to the next morning is much too long.",
                    "between",
                    over_midnight,
                ),
            ),
        ),
        Module(
            slots,
            (touching, merge_unsorted, merge_inside, free_at_end),
            (
                Bug(
                    "one[0] < other[1] and other[0] < one[1]",
                    "one[0] <= other[1] and other[0] <= one[1]",
                    "Two slots that only touch count as overlapping.",
                    "overlap",
                    touching,
                ),
                Bug(
                    "one[0] < other[1] and other[0] < one[1]",
                    "other[0] <= one[0] < other[1]",
                    "A slot inside a longer one is not seen as overlapping.",
                    "overlap",
                    inside,
                ),
                Bug(
                    "start <= result[-1][1]",
                    "start < result[-1][1]",
                    "Slots that touch are not joined.",
                    "merge_slots",
                    merge_touching,
                ),
                Bug(
                    "max(result[-1][1], end)",
                    "end",
                    "Joining a long slot with a short one inside it loses the end of the long one.",
                    "merge_slots",
                    merge_inside,
                ),
                Bug(
                    "in sorted(slots):",
                    "in slots:",
                    "Slots are joined wrongly unless they are in order.",
                    "merge_slots",
                    merge_unsorted,
                ),
                Bug(
                    "    if position < day[1]:\n        free.append((position, day[1]))\n",
                    "",
                    "The free time at the end of the day is missing.",
                    "free_slots",
                    free_at_end,
                ),
                Bug(
                    "if start > position:",
                    "if start >= position:",
                    "There are free slots without any length.",
                    "free_slots",
                    free_with_inner,
                ),
            ),
        ),
        Module(
            bookings,
            (book_after, book_twice, other_room, cancelled, free_in_room),
            (
                Bug(
                    "slot[0] >= slot[1]",
                    "slot[0] > slot[1]",
                    "A booking that ends when it starts is accepted.",
                    "book",
                    book_nothing,
                ),
                Bug(
                    "if any(overlap",
                    "if all(overlap",
                    "A room without any booking can't be booked.",
                    "book",
                    other_room,
                ),
                Bug(
                    "if any(overlap(slot, other)",
                    "if any(slot == other",
                    "Two bookings of a room at overlapping times are both accepted.",
                    "book",
                    book_across,
                ),
                Bug(
                    "self._slots.setdefault(room, []).append(slot)",
                    "self._slots[room] = [slot]",
                    "The second booking of a room makes the first one vanish.",
                    "book",
                    book_twice,
                ),
                Bug(
                    "if slot[0] != parse_time(start)",
                    "if slot[1] != parse_time(start)",
                    "A booking can't be cancelled.",
                    "cancel",
                    cancelled,
                ),
                Bug(
                    "len(kept) < len(slots)",
                    "len(kept) <= len(slots)",
                    "Cancelling a booking that does not exist is reported as a success.",
                    "cancel",
                    not_cancelled,
                ),
                Bug(
                    "sum(end - start for",
                    "sum(end + start for",
                    "A room is taken for more minutes than a day has.",
                    "minutes",
                    book_twice,
                ),
                Bug(
                    " if overlap(slot, day)]",
                    "]",
                    "The free slots of a part of the day extend beyond that part.",
                    "free",
                    free_within,
                ),
            ),
            needs=("clock", "slots"),
        ),
        Module(
            jobs,
            (job_order, circle, ends, duty),
            (
                Bug(
                    "all(need in done for",
                    "any(need in done for",
                    "No job is ready at the beginning.",
                    "order_jobs",
                    job_order,
                ),
                Bug(
                    "done.append(ready[0])\n        left.remove(ready[0])",
                    "done.append(ready[-1])\n        left.remove(ready[-1])",
                    "Jobs that could be done in any order are not in the order of their names.",
                    "order_jobs",
                    job_order,
                ),
                Bug(
                    "start = max(",
                    "start = min(",
                    "A job starts before all that it needs has ended.",
                    "finish_times",
                    ends,
                ),
                Bug(
                    "start + lengths[job]",
                    "lengths[job]",
                    "The end of a job does not depend on the jobs before it.",
                    "finish_times",
                    ends,
                ),
                Bug(
                    "% len(people)]",
                    "% (len(people) - 1)]",
                    "One of the people is never on duty.",
                    "rotate",
                    duty,
                ),
                Bug(
                    "week * shift % len(people)",
                    "(week + shift - 1) % len(people)",
                    "A shift of more than one changes only who starts.",
                    "rotate",
                    shifted_duty,
                ),
            ),
        ),
    ),
    {
        "Bookings": ("Reservations", "Appointments"),
        "parse_time": ("read_time", "minutes_of"),
        "merge_slots": ("join_slots", "unite_slots"),
        "free_slots": ("open_slots", "gaps_of_day"),
        "order_jobs": ("sort_jobs", "job_sequence"),
        "rotate": ("duty_list", "take_turns"),
        "DAY": ("MINUTES_A_DAY", "WHOLE_DAY"),
    },
)
