"""Writes small texts of a form about a subject."""

import random
from typing import Final

FORMS: Final = ("poem", "letter", "speech", "recipe", "diary entry", "news report", "riddle", "song")
SUBJECTS: Final = (
    "otters", "lighthouses", "old bicycles", "the moon", "winter apples", "a lost umbrella", "night trains",
    "tea", "mountain goats", "paper boats", "a broken clock", "honey", "the north wind", "two brothers",
)  # fmt: skip


def write(rng: random.Random, form: str, subject: str, sentences: int) -> str:
    """A text of so many sentences."""
    return " ".join(_sentence(rng, form, subject) for _ in range(sentences))


def _sentence(rng: random.Random, form: str, subject: str) -> str:
    frame = rng.choice(_FRAMES)
    return frame.format(
        form=form,
        subject=subject,
        person=rng.choice(_PEOPLE),
        place=rng.choice(_PLACES),
        thing=rng.choice(_THINGS),
        verb=rng.choice(_VERBS),
        time=rng.choice(_TIMES),
        number=rng.randint(2, 99),
    )


_FRAMES = (
    "{time}, {person} {verb} {number} {thing} for the sake of {subject}.",
    "No {form} about {subject} forgets {person}, who {verb} the {thing} {place}.",
    "{person} thinks of {subject} {place} and counts {number} {thing}.",
    "Whoever loves {subject} {verb} {thing} {place}, {number} times a year.",
    "There were {number} {thing} {place}, and {person} {verb} them all.",
    "{time} the {thing} {place} speak of {subject} to {person}.",
)
_PEOPLE = (
    "Ada",
    "old Tomas",
    "the baker",
    "my aunt",
    "Captain Ruiz",
    "Noor",
    "a tired clerk",
    "Ines",
    "Pavel",
)
_PLACES = ("by the river", "in the attic", "behind the station", "on the hill", "under the bridge", "at sea")
_THINGS = ("lanterns", "grey stones", "letters", "spoons", "green bottles", "songs", "ropes", "maps", "keys")
_VERBS = ("gathers", "paints", "hides", "remembers", "sells", "mends", "borrows", "carries", "names")
_TIMES = ("In March", "At dawn", "Every Sunday", "Long ago", "After the storm", "Before supper", "Tonight")
