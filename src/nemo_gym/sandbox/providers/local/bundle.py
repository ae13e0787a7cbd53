"""The bytecode of a supervisor's modules in one piece.

A supervisor gets it by a descriptor: inside, this package has no files, so that no program can import or read
it, and no sandbox compiles it.
"""

from __future__ import annotations

import importlib.util
import marshal
from functools import cache
from types import CodeType
from typing import Final

_FOLDER: Final = "nemo_gym.sandbox.providers.local.inside"
_MODULES: Final = ("channel", "processes", "files", "watch", "confinement", "warm", "supervisor")
"""Each imports only modules before it."""

LOADER: Final = """
import marshal, sys
with open(int(sys.argv[2]), "rb") as file:
    modules = marshal.loads(file.read())
for name, code in modules:
    module = sys.modules[name] = type(sys)(name)
    exec(code, vars(module))
for name, code in modules:
    del sys.modules[name]
del modules, name, code
module.main(int(sys.argv[1]))
"""
"""What the interpreter runs. Its arguments are the descriptors of the control socket and of the bundle."""


@cache
def bundle() -> bytes:
    """The modules' names and code, for `LOADER`."""
    return marshal.dumps([(name, _code(name)) for name in (f"{_FOLDER}.{each}" for each in _MODULES)])


def _code(name: str) -> CodeType:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    return spec.loader.get_code(name)  # type: ignore[attr-defined]
