"""The command line's entry point."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Annotated, Any, Final, cast

import typer
import typer.main

from nemo_gym import __version__
from nemo_gym.cli import (
    catalogue,
    configs,
    curation,
    data_designer,
    datasets,
    environments,
    evaluate,
    evaluator,
    init,
    packages,
    refinement,
    rollouts,
    runs,
    sandboxes,
    servers,
    testing,
    training,
)
from nemo_gym.cli.command_line import (
    VERBOSE,
    explain,
    log_everything,
    option_without_value,
    take_flags,
    with_flags,
)
from nemo_gym.cli.output import print_error, print_json, safe_output
from nemo_gym.wire.errors import GymError, UsageError

_ALLOW_UNSAFE: Final = "--allow-unsafe"

app = typer.Typer(
    help="RL environments and verified rollouts for training and evaluating language models.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(rollouts.run)
evaluate.app.command("run", hidden=True)(rollouts.run)  # the earlier name of `gym run`
environments.app.command("init")(init.init)
environments.app.command("test")(testing.check_verifier)
environments.app.command("golden")(testing.golden)
environments.app.command("publish")(testing.publish)
environments.app.command("packages")(packages.packages)
environments.app.command("prefetch")(packages.prefetch)
environments.app.command("resolve")(configs.resolve)
environments.app.command("validate")(configs.validate)
environments.app.command("start")(servers.start)
environments.app.command("status")(servers.status)
environments.app.command("stop")(servers.stop)
data_designer.app.command("refine")(refinement.refine)
data_designer.app.command("advise")(refinement.advise)
app.add_typer(evaluate.app, name="eval")
app.add_typer(environments.app, name="env")
datasets.app.command("curate")(curation.curate)
app.add_typer(datasets.app, name="dataset")
app.add_typer(runs.app, name="runs")
app.add_typer(sandboxes.app, name="sandbox")
app.command("export")(training.export)
app.add_typer(training.tokens_app, name="tokens")
app.add_typer(training.serve_app, name="serve")
training.serve_app.command("evaluator")(evaluator.serve)
app.add_typer(evaluator.app, name="evaluator")
app.add_typer(catalogue.app, name="list")
app.command("search")(catalogue.search)
app.add_typer(testing.package_app, name="dev")
app.add_typer(data_designer.app, name="data-designer")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="With --version: also the versions of Python and of dependencies.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log everything. Allowed anywhere on the line.")
    ] = False,
    unsafe: Annotated[
        bool,
        typer.Option(
            _ALLOW_UNSAFE,
            help="Where this machine can't isolate sandboxes, run the code of a model without isolation: "
            "it can reach this machine's network and files. Allowed anywhere on the line.",
        ),
    ] = False,
) -> None:
    if verbose:
        log_everything()
    if unsafe:
        from nemo_gym.sandbox import allow_unsafe

        allow_unsafe()
    if version and json:
        print_json(_versions())
    elif version:
        typer.echo(__version__)
    elif json:
        raise UsageError("--json goes with --version, or after a command: gym list environments --json")
    if version:
        raise typer.Exit


@cache
def command_line() -> Any:
    """The command line that typer makes of the functions above."""
    return typer.main.get_command(app)


def main() -> None:
    """Run the command line. A mistake is one line on standard error and exit code 2; a failure is 1."""
    with safe_output():
        _run()


def _run() -> None:
    words, verbose = take_flags(VERBOSE, sys.argv[1:])
    words, unsafe = take_flags([_ALLOW_UNSAFE], words)
    try:
        command = command_line()
        if option := option_without_value(command, words):
            raise UsageError(f"Option {option!r} requires an argument: what follows it is another option")
        more = [*(["--verbose"] if verbose else []), *([_ALLOW_UNSAFE] if unsafe else [])]
        sys.exit(command([*more, *words], prog_name="gym", standalone_mode=False))
    except _Misuse as error:
        sys.exit(_refuse(error, words))
    except GymError as error:
        print_error(with_flags(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        print_error(f"{error.filename or 'output'}: {error.strerror or error}")
        sys.exit(1)
    except RecursionError:
        print_error("the input is nested too deeply")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if isinstance(error, RuntimeError) and str(error).startswith(_LINK_LOOP):
            print_error(f"{str(error).removeprefix(_LINK_LOOP)}: the link leads back to itself")
        else:
            sys.stderr.write(traceback.format_exc())  # here the output is made safe
        sys.exit(1)


_LINK_LOOP: Final = "Symlink loop from "
"""The beginning of the message of `Path.resolve` before Python 3.13."""
_Misuse: Final = cast("type[Exception]", typer.BadParameter.__mro__[1])
"""The error that typer raises about a command line that it can't take; it has no public name."""


def _refuse(error: Any, words: Sequence[str]) -> int:
    """Print one line about what is wrong, unless typer has printed help; the exit code."""
    if message := explain(error, words):
        print_error(f"{message} ({error.ctx.command_path if error.ctx else 'gym'} -h)")
    return error.exit_code


def _versions() -> dict[str, Any]:
    """The versions of this package, Python, the system, and the installed dependencies."""
    import platform
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    dependencies: dict[str, str] = {}
    for requirement in sorted(requires("nemo-gym") or ()):
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name == "nemo-gym":
            continue
        with suppress(PackageNotFoundError):
            dependencies[name] = version(name)
    return {
        "gym": __version__,
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": {"name": platform.system(), "release": platform.release(), "machine": platform.machine()},
        "dependencies": dependencies,
    }
