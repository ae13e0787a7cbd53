"""Loads a Python file that is in no package as a module."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from nemo_gym.wire.errors import GymError, UsageError
from nemo_gym.wire.exception_text import text_of

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of this package."""
FILE_MODULE = "_gym_file_"
"""The beginning of the names of modules that `load_file` loads."""
SERVERS = "resources_servers"
"""The package name by which existing servers import one another; its parent stays on `sys.path`."""


def load_file(path: Path) -> ModuleType:
    """The module of a Python file. The file runs once, and again after it changed.

    A file of this package is imported under its usual name. Any other file gets a name from its path and
    stays in `sys.modules`, so that its classes can be pickled and inspected. Its folder is on `sys.path`
    only while the file runs, and only if the file imports a module of that folder. So a file has to import
    such modules at its top, not inside a function.

    Raises:
        UsageError: the file raises an error; the message names the line.
    """
    path = path.resolve()
    if path.is_relative_to(PACKAGE):
        return importlib.import_module(
            ".".join(("nemo_gym", *path.relative_to(PACKAGE).with_suffix("").parts))
        )
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"{FILE_MODULE}{digest}_{path.stem}"
    status = path.stat()
    stamp = (status.st_mtime_ns, status.st_size)
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__gym_stamp__", None) == stamp:
        return loaded
    if path.suffix != ".py":
        raise UsageError(f"{path}: expected a Python file (NAME.py), or a folder with an environment.py")
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceLoader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__gym_stamp__"] = stamp
    sys.modules[name] = module
    if path.parent.parent.name == SERVERS and str(path.parents[2]) not in sys.path:
        sys.path.append(str(path.parents[2]))
    try:
        _run_beside_siblings(lambda loader=spec.loader: loader.exec_module(module), path)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, GymError) or not isinstance(error, (Exception, SystemExit)):
            raise
        when = "" if isinstance(error, SyntaxError) else " when it is imported"
        raise UsageError(f"{explained(error, path)}{when}") from error
    return module


class _SourceLoader(SourceFileLoader):
    """Compiles a file each time: a .pyc file misses a change within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


_siblings: dict[str, Path] = {}


def _run_beside_siblings(run: Callable[[], None], path: Path) -> None:
    folder = path.parent
    if str(folder) in sys.path or not _imports_a_sibling(path):
        return run()
    for name, home in list(_siblings.items()):
        if home != folder:
            sys.modules.pop(name, None)
            del _siblings[name]
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        run()
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name not in before]:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).resolve().is_relative_to(folder) and not name.startswith(FILE_MODULE):
                _siblings[name] = folder


def _imports_a_sibling(path: Path) -> bool:
    tree = parse_file(path)
    for node in ast.walk(tree) if tree else ():
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names = [node.module]
        for name in (name.split(".")[0] for name in names):
            beside = (path.parent / f"{name}.py").is_file() or (path.parent / name).is_dir()
            if beside and name not in sys.stdlib_module_names:
                return True
    return False


def explained(error: BaseException, path: Path) -> str:
    """`FILE:LINE: Kind: message` for an error of a file's code, with the last line in the file's folder."""
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno}: {error.msg}"
    place = str(path)
    trace = error.__traceback__
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if Path(file).parent == path.parent:
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    if isinstance(error, SystemExit):
        return f"{place}: it exits"
    text = " ".join(text_of(error).split())
    return f"{place}: {type(error).__name__}{f': {text}' if text else ''}"


def parse_file(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return None
