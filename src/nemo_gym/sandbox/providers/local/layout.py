"""The file system and the environment variables of a local sandbox."""

from __future__ import annotations

import glob
import os
import random
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

import nemo_gym
from nemo_gym.sandbox.errors import SandboxCreateError
from nemo_gym.sandbox.providers.local import landlock
from nemo_gym.sandbox.providers.local.jail import INSIDE_ID
from nemo_gym.sandbox.providers.local.settings import LocalCreateConfig
from nemo_gym.sandbox.spec import SandboxSpec
from nemo_gym.support.removal import remove_tree

WORKDIR: Final = "/workspace"
"""The working directory inside a jail, unless the spec has one."""

HOME: Final = "/home/sandbox"
USER: Final = "sandbox"

NOBODY: Final = 65534
"""The user of the code outside of the jail when this process is root."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one sandbox on this machine, and their paths inside."""

    folder: Path
    jailed: bool
    workdir: str
    home: str
    tmp: str
    owner: int | None
    """The user of the code, as this machine sees it; None is the user of this process."""

    @classmethod
    def make(cls, create: LocalCreateConfig, spec: SandboxSpec, *, jailed: bool, unique: bool = True) -> Self:
        """New folders.

        Args:
            jailed: whether the code has its own namespaces.
            unique: whether the code runs as a user of its own where this process is root.

        Raises:
            SandboxCreateError: they can't be created, or the spec's workdir is not possible.
        """
        workdir = os.path.normpath(spec.workdir or WORKDIR)
        if not jailed and spec.workdir is not None:
            raise SandboxCreateError(
                f"workdir {spec.workdir!r} can't be used without isolation by namespaces, which this kernel "
                "does not permit or the settings turn off: leave it out"
            )
        if workdir == "/" or workdir.startswith(("/proc", "/dev")):
            raise SandboxCreateError(f"workdir {workdir!r} can't be the working directory")
        try:
            with ExitStack() as stack:
                folder = Path(tempfile.mkdtemp(prefix="gym-sandbox-", dir=create.folder))
                stack.callback(remove_tree, folder)
                for name in ("work", "tmp", "home", "texts"):
                    (folder / name).mkdir()
                owner = _give_away(folder, _unique_id() if unique else NOBODY) if os.geteuid() == 0 else None
                stack.pop_all()
        except OSError as error:
            raise SandboxCreateError(f"no folder for a sandbox can be created: {error}") from error
        if jailed:
            return cls(folder, True, workdir, HOME, "/tmp", owner)  # noqa: S108 - the jail's own
        return cls(folder, False, str(folder / "work"), str(folder / "home"), str(folder / "tmp"), owner)

    def environment(self) -> dict[str, str]:
        """The variables of the code inside. None comes from this process."""
        return _environment(self.workdir, self.home, self.tmp)

    def inside(self, path: str) -> str:
        """A path inside; a relative one is below the working directory.

        Raises:
            PermissionError: it is outside the folder of a sandbox without isolation.
        """
        full = os.path.normpath(PurePosixPath(self.workdir, path))
        if not self.jailed and not Path(full).is_relative_to(self.folder):
            raise PermissionError(f"{path} is outside the sandbox's folder {self.workdir}")
        return full

    def jail(self, create: LocalCreateConfig, *, in_memory: bool = False) -> dict[str, Any]:
        """The plan of the supervisor's jail."""
        texts = {
            "/etc/passwd": f"{USER}:x:{INSIDE_ID}:{INSIDE_ID}::{HOME}:/bin/sh\n",
            "/etc/group": f"{USER}:x:{INSIDE_ID}:\n",
            "/etc/hosts": "127.0.0.1 localhost sandbox\n",
            "/etc/hostname": "sandbox\n",
        }
        if create.network == "host":
            texts |= {name: _text(name) for name in ("/etc/hosts", "/etc/resolv.conf")}
        for path, text in texts.items():
            self._text_file(path).write_text(text)
        return {
            "network": create.network,
            "outside": self.owner,
            "in_memory": in_memory,
            "readable": [*_SYSTEM, *_settings(), *_python(), *map(os.path.abspath, create.readable)],
            "hidden": [str(Path(nemo_gym.__file__).parent)],
            "texts": {str(self._text_file(path)): path for path in texts},
            "writable": {
                str(self.folder / "tmp"): self.tmp,
                str(self.folder / "home"): self.home,
                str(self.folder / "work"): self.workdir,
            },
        }

    def rules(self, create: LocalCreateConfig) -> dict[str, int]:
        """The rights of Landlock by path, in a sandbox without namespaces."""
        hidden = [str(Path(nemo_gym.__file__).parent)]
        readable = [*_SYSTEM, *_settings(), *_python(), *_MACHINE, *map(os.path.abspath, create.readable)]
        if create.network == "host":
            readable += ["/etc/hosts", "/etc/resolv.conf"]
        rules = {rule: right for path in readable for rule, right in landlock.without(path, hidden).items()}
        rules |= dict.fromkeys(_DEVICES, landlock.USE)
        return rules | dict.fromkeys((self.workdir, self.home, self.tmp), landlock.WRITE)

    def _text_file(self, path: str) -> Path:
        return self.folder / "texts" / Path(path).name

    def remove(self) -> None:
        """Delete the folders, whatever is in them."""
        remove_tree(self.folder)


_SYSTEM: Final = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr")
_SETTINGS: Final = (
    "alternatives", "bash.bashrc", "ca-certificates", "ca-certificates.conf", "fonts", "java-*",
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "magic", "mime.types", "nsswitch.conf", "pki",
    "profile", "protocols", "python3*", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
)  # fmt: skip
"""Names in /etc that programs need to start. None of them has a secret."""
_DEVICES: Final = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty"))
_MACHINE: Final = (
    *(f"/proc/{name}" for name in ("cpuinfo", "loadavg", "meminfo", "stat", "uptime", "version")),
    "/sys/devices/system/cpu",
)
"""Descriptions of this machine, which name no process."""


def inside_environment() -> dict[str, str]:
    """The variables of a program in a jail without a spec."""
    return _environment(WORKDIR, HOME, "/tmp")  # noqa: S108 - the jail's own


def _environment(workdir: str, home: str, tmp: str) -> dict[str, str]:
    return {
        "PATH": search_path(),
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": tmp,
        "USER": USER,
        "PWD": workdir,
    }


def _unique_id() -> int:
    """A user that nothing else on this machine has, so that its processes can be counted."""
    return 1 << 30 | random.SystemRandom().getrandbits(29)


def _give_away(folder: Path, owner: int) -> int:
    """Give a new folder, and those in it, to a user, and return the user. A container may not have every
    user; then it is `NOBODY`.

    Raises:
        OSError: it is not permitted.
    """
    for place in (folder, *folder.iterdir()):
        try:
            os.chown(place, owner, owner)
        except OSError:
            if owner == NOBODY:
                raise
            return _give_away(folder, NOBODY)
    return owner


def _settings() -> list[str]:
    return [path for name in _SETTINGS for path in sorted(glob.glob(f"/etc/{name}"))]


def _python() -> list[str]:
    """The installation of this Python, without the packages of a virtual environment."""
    return [] if Path(sys.base_prefix).is_relative_to("/usr") else [sys.base_prefix]


def search_path() -> str:
    """PATH inside: the folders of this Python and of the system's programs."""
    folders = [f"{prefix}/bin" for prefix in _python()]
    return ":".join([*folders, "/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
