"""Data sets on a Hugging Face hub: the public one, or the one at `HF_ENDPOINT`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from nemo_gym.datasets.splits import Splits, find_splits
from nemo_gym.runs.paths import whole_file
from nemo_gym.wire.errors import GymError, UsageError, did_you_mean
from nemo_gym.wire.jsonl import encode, read_rows


class HubError(GymError):
    """The hub can't be reached, or refuses a request."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A data set repository at one revision."""

    revision: str
    files: tuple[str, ...]
    license: str
    """As its card names it; empty when it names none."""


class Hub:
    """Files of data set repositories.

    Args:
        token: of the user; empty takes the token of `HF_TOKEN` or `hf auth login`, if there is one.

    Raises:
        UsageError: the library is missing.
    """

    def __init__(self, token: str = "") -> None:
        try:
            import huggingface_hub
            from huggingface_hub.utils import disable_progress_bars
        except ImportError:
            raise UsageError("the hub needs a library: pip install 'nemo-gym[hub]'") from None
        if not sys.stderr.isatty():
            disable_progress_bars()
        self._api: Any = huggingface_hub.HfApi(token=token or None)

    def fetch_file(self, repository: str, file: str, path: Path, *, revision: str | None = None) -> None:
        """Download one file of a repository to a path.

        Raises:
            HubError: there is no such file, or the hub can't be reached.
        """
        revision, files, _ = self._list_files(repository, revision)
        if file not in files:
            raise HubError(f"{repository} has no file {file!r}.{did_you_mean(file, files)}")
        with _folder_beside(path) as folder:
            file_path = self._download(repository, file, folder, revision)
            with file_path.open("rb") as source, whole_file(path) as target:
                shutil.copyfileobj(source, target)

    def fetch_split(self, repository: str, split: str, path: Path, *, revision: str | None = None) -> None:
        """Download the rows of a split to a JSONL file.

        Raises:
            HubError: the hub can't be reached, or has no such repository.
            UsageError: the repository has no such split, or its files are not JSONL.
        """
        revision, splits = self._splits(repository, revision)
        if split not in splits:
            raise UsageError(f"{repository} has no split {split!r}.{did_you_mean(split, splits)}")
        with _folder_beside(path) as folder, whole_file(path) as target:
            for file in splits[split]:
                _copy_rows(self._download(repository, file, folder, revision), target)

    def splits(self, repository: str, *, revision: str | None = None) -> list[str]:
        """The splits of a repository: those of its card, or else those in the names of its files.

        Raises:
            HubError: the hub can't be reached, or has no such repository.
        """
        return list(self._splits(repository, revision)[1])

    def snapshot(self, repository: str, *, revision: str | None = None) -> Snapshot:
        """The files of a repository at a revision; None is the current one.

        Raises:
            HubError: the hub can't be reached, or has no such repository or revision.
        """
        sha, files, card = self._list_files(repository, revision)
        terms: Any = card.get("license") or ""
        return Snapshot(
            sha or "main", tuple(files), str(terms) if isinstance(terms, str) else ", ".join(terms)
        )

    def cached_file(self, repository: str, file: str, revision: str) -> Path:
        """A file in the library's own cache. A download that is cut off goes on where it ended.

        Raises:
            HubError: there is no such file, the hub can't be reached, or it refuses.
        """
        with _hub_errors(repository):
            location = self._api.hf_hub_download(repository, file, repo_type="dataset", revision=revision)
        return Path(location)

    def publish(
        self,
        repository: str,
        file: Path,
        *,
        revision: str | None = None,
        create_pr: bool = False,
        message: str | None = None,
        description: str | None = None,
    ) -> str:
        """Upload a file to a repository and return the URL of the change. A new repository is private.

        Raises:
            HubError: the hub can't be reached, or refuses.
        """
        with _hub_errors(repository):
            self._api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
            commit = self._api.upload_file(
                path_or_fileobj=file,
                path_in_repo=file.name,
                repo_id=repository,
                repo_type="dataset",
                revision=revision,
                create_pr=create_pr,
                commit_message=message,
                commit_description=description,
            )
        return commit.pr_url or commit.commit_url

    def collect(self, repository: str, collection: str) -> None:
        """Add a repository to a collection. It may be there already.

        Raises:
            HubError: the hub can't be reached, or has no such collection.
        """
        with _hub_errors(f"{repository} in {collection}"):
            self._api.add_collection_item(collection, repository, "dataset", exists_ok=True)

    def _download(self, repository: str, file: str, folder: Path, revision: str | None) -> Path:
        with _hub_errors(repository):
            location = self._api.hf_hub_download(
                repository, file, repo_type="dataset", revision=revision, local_dir=folder
            )
        return Path(location)

    def _splits(self, repository: str, revision: str | None) -> tuple[str | None, Splits]:
        """The current revision, and its splits."""
        revision, files, card = self._list_files(repository, revision)
        return revision, find_splits(files, card)

    def _list_files(
        self, repository: str, revision: str | None
    ) -> tuple[str | None, list[str], dict[str, Any]]:
        """The current revision, its files, and the content of its card."""
        with _hub_errors(repository):
            info = self._api.dataset_info(repository, revision=revision)
        files = sorted(sibling.rfilename for sibling in info.siblings or ())
        return info.sha or revision, files, info.card_data.to_dict() if info.card_data else {}


def _copy_rows(file: Path, target: BinaryIO) -> None:
    if file.suffix != ".jsonl":
        raise UsageError(
            f"{file.name}: a split is read from .jsonl files; download other files as artifacts"
        ).about("artifact")
    for _, row in read_rows(file):
        target.write(encode(row) + b"\n")


@contextmanager
def _folder_beside(path: Path) -> Generator[Path, None, None]:
    """A temporary folder beside a path, on the same disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=".hub-") as folder:
        yield Path(folder)


@contextmanager
def _hub_errors(what: str) -> Generator[None, None, None]:
    """Turn errors of the library into errors of one line."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        HTTPError,  # pyright: ignore[reportPrivateImportUsage]  # of whichever client the library uses
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except RevisionNotFoundError:
        raise HubError(f"{what}: the hub has no such revision") from None
    except GatedRepoError:
        raise HubError(
            f"{what}: accept its terms on its page at the hub, and give a token (HF_TOKEN or hf_token)"
        ) from None
    except RepositoryNotFoundError:
        raise HubError(
            f"{what}: the hub has no such data set, or it is private and needs a token (HF_TOKEN or hf_token)"
        ) from None
    except HFValidationError as error:
        raise UsageError(f"{what}: {_first_line(error)}") from None
    except HfHubHTTPError as error:
        raise HubError(f"{what}: {_first_line(error)}") from None
    except (HTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise HubError(f"{what}: the hub can't be reached: {_first_line(error)}") from None
    except OSError as error:  # of the library's own transport for large files
        raise HubError(f"{what}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
