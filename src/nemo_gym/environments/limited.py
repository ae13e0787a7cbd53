"""Run as a script, before the program it is given: sets its own limits and becomes that program.

`python limited.py RLIMIT_CPU=10 RLIMIT_AS=1000000000 -- program argument ...`. Standard library only, because
it is started without site packages.
"""

import os
import resource
import sys


def main(words: list[str]) -> None:
    """Set the limits named before `--` and execute what comes after."""
    end = words.index("--")
    for word in words[:end]:
        name, _, value = word.partition("=")
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        most = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        resource.setrlimit(kind, (most, most))
    program = words[end + 1 :]
    os.execvpe(program[0], program, os.environ)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
