"""Whether a user's own server program can be served in a process with others, read from its source.

Nothing is run to find out, and doubt decides for a process of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nemo_gym.config.instances import Instance
from nemo_gym.config.tree import leaves
from nemo_gym.serving.checkouts import checkout
from nemo_gym.serving.requirements import unmet


def served_class(program: Path) -> str | None:
    """The `Server` of a file that ends in `if __name__ == "__main__": Server.run_webserver()`; None for one
    that does anything else when it is run."""
    tree = _parsed(program)
    blocks = [node for node in tree.body if _is_main_block(node)] if tree else []
    match blocks:
        case [
            ast.If(
                body=[
                    ast.Expr(
                        value=ast.Call(
                            func=ast.Attribute(value=ast.Name(id=name), attr="run_webserver"),
                            args=[],
                            keywords=[],
                        )
                    )
                ]
            )
        ]:
            return name
        case _:
            return None


def siblings(program: Path) -> set[str]:
    """The modules beside a program that it, or one of them, imports; by the names that they have there."""
    folder = program.parent
    return {
        file.relative_to(folder).parts[0].removesuffix(".py")
        for file in _sources(program)
        if file != program and file.is_relative_to(folder)
    }


def why_apart(program: Path, instance: Instance) -> str | None:
    """Why the program of an instance needs a process of its own; None when it can share one.

    Raises:
        GymError: what its folder says of its requirements can't be understood.
    """
    folder = program.parent
    if missing := unmet(folder):
        return f"it needs {', '.join(missing)}"
    if served_class(program) is None:
        return f"{program.name} does not just call run_webserver() when it is run"
    if (instance.settings.get("num_workers") or 1) != 1:
        return f"num_workers is {instance.settings['num_workers']}"
    for path, value in leaves(instance.settings):
        if isinstance(value, str) and _lies_in(folder, value):
            return f"its setting {'.'.join(path)} is a path from its own folder"
    for file in _sources(program):
        tree = _parsed(file)
        for line, why in _doubts(tree, folder) if tree else [(1, "can't be read")]:
            return f"{file.name}:{line} {why}"
    return None


def _is_main_block(node: ast.stmt) -> bool:
    match node:
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"), comparators=[ast.Constant("__main__")])):
            return True
        case _:
            return False


def _parsed(file: Path) -> ast.Module | None:
    try:
        return ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return None


def _sources(program: Path) -> Iterator[Path]:
    """The program and what it imports that lies beside it, or in the folders of other servers."""
    waiting, seen = [program], set[Path]()
    while waiting and len(seen) < _MOST_FILES:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        yield file
        tree = _parsed(file)
        for name in _imports(tree) if tree else ():
            parts = name.split(".")
            for root in (program.parent, program.parents[2]):
                found = [root.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]
                waiting += [path for one in found for path in _module_files(one)]


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _module_files(place: Path) -> list[Path]:
    return [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()]


def _doubts(tree: ast.Module, folder: Path) -> Iterator[tuple[int, str]]:
    """(line, what it does) of everything that its neighbours would feel, or that only holds in its folder."""
    names = _names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                for name in _imports(node):
                    if name.partition(".")[0] in _ALONE:
                        yield node.lineno, f"imports {name}"
            case ast.Attribute() | ast.Name():
                name = _dotted(node, names)
                if name in _PROCESS_WIDE or (name in _OF_ONE_ROOT and checkout() != folder.parents[1]):
                    yield node.lineno, f"uses {name}"
            case ast.Subscript(ctx=ast.Store() | ast.Del(), value=value):
                if _dotted(value, names) == "os.environ":
                    yield node.lineno, "changes os.environ"
            case ast.Constant(value=str(text)) if text in _VARIABLES:
                yield node.lineno, f"reads {text}"
            case ast.Call(func=func, args=[ast.Constant(value=str(text)), *_]):
                if _dotted(func, names) in _OPENING and not text.startswith(("/", "~")):
                    yield node.lineno, f"takes {text!r} from the current folder"
            case ast.FunctionDef():
                yield from _late_imports(node, folder)
            case ast.AsyncFunctionDef():
                yield from _late_imports(node, folder)
                yield from _blocking(node, names)
            case _:
                continue
    for text, line in _plain_texts(tree):
        if _lies_in(folder, text):
            yield line, f"takes {text!r} from the current folder"


def _late_imports(function: ast.AST, folder: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(function):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in _imports(node):
                if _module_files(folder / name.partition(".")[0]):
                    yield node.lineno, f"imports {name} inside a function"


def _blocking(function: ast.AsyncFunctionDef, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            name = _dotted(node.func, names)
            if name in _BLOCKING or name.startswith(_BLOCKING_MODULES):
                yield node.lineno, f"calls {name} in an async function, which would hold up others"


def _names(tree: ast.Module) -> dict[str, str]:
    """What the names that imports bind stand for."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            bound |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return bound


def _dotted(node: ast.expr, names: dict[str, str]) -> str:
    """`os.path.join` of such an expression, empty for any other."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        left = _dotted(node.value, names)
        return f"{left}.{node.attr}" if left else ""
    return ""


def _plain_texts(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Texts with their lines, but for the right sides of `folder / "name"` and what is joined to a path."""
    joined: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            joined.add(id(node.right))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            parts = node.args if node.func.attr == "joinpath" else node.args[1:]
            if node.func.attr in ("join", "joinpath"):
                joined.update(id(part) for part in parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in joined:
            yield node.value, node.lineno


def _lies_in(folder: Path, text: str) -> bool:
    """Whether a text is a path to something in the folder; a bare word is taken for one only by `open`."""
    if not 0 < len(text) <= _LONGEST_PATH or "\n" in text or not ("/" in text or "." in text):
        return False
    path = Path(text)
    if path.is_absolute() or path == Path() or ".." in path.parts:
        return False
    try:
        return (folder / path).exists()
    except (OSError, ValueError):
        return False


_MOST_FILES: Final = 200
_LONGEST_PATH: Final = 255
_ALONE: Final = frozenset({"multiprocessing", "nest_asyncio", "pexpect", "pty", "ray", "signal"})
"""Modules whose use starts processes from this one, or changes what all of it does."""
_PROCESS_WIDE: Final = frozenset(
    {
        "__import__",
        "asyncio.run",
        "asyncio.set_event_loop_policy",
        "concurrent.futures.ProcessPoolExecutor",
        "concurrent.futures.process.ProcessPoolExecutor",
        "numpy.random.seed",
        "eval",
        "exec",
        "os._exit",
        "os.abort",
        "os.chdir",
        "os.environ.clear",
        "os.environ.pop",
        "os.environ.setdefault",
        "os.environ.update",
        "os.fork",
        "os.kill",
        "os.killpg",
        "os.getcwd",
        "os.putenv",
        "os.setsid",
        "os.umask",
        "os.unsetenv",
        "pathlib.Path.cwd",
        "random.seed",
        "resource.setrlimit",
        "sys.argv",
        "sys.modules",
        "sys.path",
        "sys.setrecursionlimit",
        "torch.manual_seed",
        "uvicorn.run",
    }
)
_OF_ONE_ROOT: Final = frozenset({"nemo_gym.PARENT_DIR", "nemo_gym.WORKING_DIR"})
"""Folders that are the same for all that a process serves."""
_VARIABLES: Final = ("NEMO_GYM_CONFIG_DICT", "NEMO_GYM_CONFIG_PATH")
"""Environment variables that only a process of its own has."""
_OPENING: Final = frozenset({"open", "os.listdir", "os.makedirs", "os.mkdir", "pathlib.Path"})
_BLOCKING: Final = frozenset(
    {
        "input",
        "os.system",
        "os.waitpid",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.run",
        "time.sleep",
        "urllib.request.urlopen",
    }
)
_BLOCKING_MODULES: Final = ("requests.",)
