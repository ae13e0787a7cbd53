"""Generated tasks for a shell: the files at the beginning and the end, and commands that lead there.

A task says where its result has to be. The files at the end are computed here, not in the sandbox.
"""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

__all__ = ["FAMILIES", "Job", "draw_job"]

Texts = dict[str, str]


@dataclass(frozen=True, slots=True)
class Job:
    """A task.

    Args:
        text: what to do.
        files: the files at the beginning, by path.
        changes: the files that differ at the end; None for a file that has to be gone.
        command: a line of shell that does it.
        executable: the files that must be executable at the end; no other file may be.
        archives: the files inside each archive at the end.
    """

    text: str
    files: Texts
    changes: Mapping[str, str | None]
    command: str
    executable: tuple[str, ...] = ()
    archives: Mapping[str, Texts] = field(default_factory=dict[str, Texts])


WORDS: Final = [
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "haven",
    "inlet",
    "juniper",
    "kelp",
    "larch",
    "maple",
    "north",
    "onyx",
    "pine",
    "quartz",
    "raven",
    "slate",
    "tundra",
    "umber",
    "vale",
    "willow",
    "yarrow",
    "zephyr",
    "basil",
    "clover",
    "dune",
    "flint",
    "garnet",
    "hazel",
    "iris",
]
FOLDERS: Final = ("data", "notes", "logs", "store", "archive", "inbox", "reports", "src")
KEYS: Final = ("port", "timeout", "retries", "workers", "depth", "limit", "batch", "interval")


def draw_job(rng: random.Random, level: int) -> Job:
    """A task of a level: higher levels have more families and more files."""
    families = FAMILIES[: 4 + 5 * level // 2]
    return rng.choice(families)(rng, 3 + 4 * level)


def _lines(rng: random.Random, count: int) -> list[str]:
    return [f"{rng.choice(WORDS)} {rng.randrange(10, 999)}" for _ in range(count)]


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _names(rng: random.Random, count: int, ending: str) -> list[str]:
    """Different paths of files, each in one of several folders."""
    return [f"{rng.choice(FOLDERS)}/{word}.{ending}" for word in rng.sample(WORDS, count)]


def create(rng: random.Random, size: int) -> Job:
    name, line = _names(rng, 1, "txt")[0], " ".join(rng.sample(WORDS, size))
    return Job(
        f"Create the file {name} with the single line: {line}", {}, {name: f"{line}\n"},
        f"mkdir -p {name.partition('/')[0]} && echo '{line}' > {name}",
    )  # fmt: skip


def rename(rng: random.Random, size: int) -> Job:
    files = {name: _text(_lines(rng, 2)) for name in _names(rng, size, "txt")}
    old = rng.choice(list(files))
    new = f"{old.partition('/')[0]}/{rng.choice(WORDS)}-{rng.randrange(100)}.md"
    return Job(
        f"Rename the file {old} to {new}.", files, {old: None, new: files[old]}, f"mv {old} {new}"
    )  # fmt: skip


def remove(rng: random.Random, size: int) -> Job:
    files = dict.fromkeys([*_names(rng, size, "txt"), *_names(rng, size, "tmp")], "x\n")
    gone = {name: None for name in files if name.endswith(".tmp")}
    return Job(
        "Delete every file whose name ends in .tmp, in all folders. Keep all other files.", files, gone,
        "find . -name '*.tmp' -type f -delete",
    )  # fmt: skip


def sort(rng: random.Random, size: int) -> Job:
    name, lines = _names(rng, 1, "txt")[0], sorted(set(_lines(rng, 3 * size)))
    rng.shuffle(lines)
    return Job(
        f"Write the lines of {name}, in the order of their bytes, to sorted.txt.", {name: _text(lines)},
        {"sorted.txt": _text(sorted(lines))}, f"LC_ALL=C sort {name} > sorted.txt",
    )  # fmt: skip


def count(rng: random.Random, size: int) -> Job:
    name, word, lines = _names(rng, 1, "log")[0], rng.choice(WORDS), _lines(rng, 4 * size)
    lines = [f"{word} {line}" if rng.random() < 0.4 else line for line in lines]
    right = sum(line.startswith(f"{word} ") for line in lines)
    return Job(
        f"Count the lines of {name} that begin with the word {word}, and write the number to count.txt.",
        {name: _text(lines)}, {"count.txt": f"{right}\n"},
        f"grep -c '^{word} ' {name} > count.txt || true",
    )  # fmt: skip


def extract(rng: random.Random, size: int) -> Job:
    name, word, lines = _names(rng, 1, "log")[0], rng.choice(WORDS), _lines(rng, 4 * size)
    lines.insert(rng.randrange(len(lines)), f"{word} {rng.randrange(10, 999)}")
    right = [line.split()[1] for line in lines if line.startswith(f"{word} ")]
    return Job(
        f"Each line of {name} is a word and a number. Write the numbers of the lines with the word {word}, "
        "in their order, one on each line, to numbers.txt.", {name: _text(lines)},
        {"numbers.txt": _text(right)}, f"awk '$1 == \"{word}\" {{print $2}}' {name} > numbers.txt",
    )  # fmt: skip


def configure(rng: random.Random, size: int) -> Job:
    name, keys = _names(rng, 1, "conf")[0], rng.sample(KEYS, min(size + 1, len(KEYS)))
    values = {key: rng.randrange(1, 500) for key in keys}
    key, value = keys[0], rng.randrange(500, 9999)
    rng.shuffle(keys)
    texts = [_text([f"{each} = {now[each]}" for each in keys]) for now in (values, {**values, key: value})]
    return Job(
        f"Set {key} to {value} in {name}, and change nothing else.", {name: texts[0]}, {name: texts[1]},
        f"sed -i 's/^{key} = .*/{key} = {value}/' {name}",
    )  # fmt: skip


def permit(rng: random.Random, size: int) -> Job:
    files = dict.fromkeys(_names(rng, size + 1, "sh"), "#!/bin/sh\necho hello\n")
    chosen = sorted(rng.sample(list(files), 2))
    return Job(
        f"Make exactly these files executable for their owner: {' and '.join(chosen)}.", files, {},
        f"chmod u+x {' '.join(chosen)}", executable=tuple(chosen),
    )  # fmt: skip


def pack(rng: random.Random, size: int) -> Job:
    files = {name: _text(_lines(rng, 3)) for name in [*_names(rng, size, "csv"), *_names(rng, size, "txt")]}
    inside = {name: text for name, text in files.items() if name.endswith(".csv")}
    name = f"{rng.choice(WORDS)}.tar"
    return Job(
        f"Pack all files whose names end in .csv, with their folders, into the uncompressed archive {name} "
        "in the working directory. Keep the files.", files, {},
        f"find * -name '*.csv' | tar -cf {name} -T -", archives={name: inside},
    )  # fmt: skip


def unpack(rng: random.Random, size: int) -> Job:
    inside = {f"{word}.txt": _text(_lines(rng, 2)) for word in rng.sample(WORDS, size)}
    name = f"{rng.choice(WORDS)}.tar"
    return Job(
        f"Unpack the archive {name} into the folder unpacked, and delete the archive.",
        {name: tar_text(inside)},
        {name: None, **{f"unpacked/{path}": text for path, text in inside.items()}},
        f"mkdir unpacked && tar -xf {name} -C unpacked && rm {name}",
    )  # fmt: skip


def replace(rng: random.Random, size: int) -> Job:
    old, new = rng.sample(WORDS, 2)
    files = {name: _text([*_lines(rng, 4), f"{old} {old}"]) for name in _names(rng, size, "md")}
    others = dict.fromkeys(_names(rng, 2, "txt"), f"{old}\n")
    return Job(
        f"Replace every {old} by {new} in all files whose names end in .md, and in no others.",
        {**files, **others}, {name: text.replace(old, new) for name, text in files.items()},
        f"find . -name '*.md' -exec sed -i 's/{old}/{new}/g' {{}} +",
    )  # fmt: skip


def find_largest(rng: random.Random, size: int) -> Job:
    names, lengths = _names(rng, size, "bin"), rng.sample(range(100, 3000), size)
    files = {name: "x" * length for name, length in zip(names, lengths, strict=True)}
    best = max(files, key=lambda name: len(files[name]))
    return Job(
        "Write the path of the largest file, relative to the working directory and without ./ before it, to "
        "largest.txt.", files, {"largest.txt": f"{best}\n"},
        "find * -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2 > /tmp/a && "
        "mv /tmp/a largest.txt",
    )  # fmt: skip


def total(rng: random.Random, size: int) -> Job:
    name = _names(rng, 1, "csv")[0]
    rows = [(rng.choice(WORDS[:6]), rng.randrange(1, 99)) for _ in range(3 * size)]
    sums: dict[str, int] = {}
    for word, number in rows:
        sums[word] = sums.get(word, 0) + number
    return Job(
        f"Each line of {name} is a word, a comma and a number. Write each word with the sum of its numbers, "
        "as word=sum, sorted by the words, to totals.txt.",
        {name: _text([f"{word},{number}" for word, number in rows])},
        {"totals.txt": _text([f"{word}={sums[word]}" for word in sorted(sums)])},
        f"awk -F, '{{s[$1] += $2}} END {{for (w in s) print w \"=\" s[w]}}' {name} | "
        "LC_ALL=C sort > totals.txt",
    )  # fmt: skip


def merge(rng: random.Random, size: int) -> Job:
    files = {f"parts/{word}.txt": _text(_lines(rng, 3)) for word in rng.sample(WORDS, size)}
    merged = "".join(files[name] for name in sorted(files))
    return Job(
        "Join the files of the folder parts, in the order of their names, to the file all.txt, and delete "
        "the folder parts.", files, {**dict.fromkeys(files), "all.txt": merged},
        "cat parts/* > all.txt && rm -r parts",
    )  # fmt: skip


def tar_text(files: Texts) -> str:
    """An uncompressed archive of ASCII files, which is a text itself."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return data.getvalue().decode()


FAMILIES: Final[tuple[Callable[[random.Random, int], Job], ...]] = (
    create, rename, remove, sort, count, extract, configure, permit, replace, pack, unpack, find_largest,
    total, merge,
)  # fmt: skip
"""The families, easy ones first."""
