"""Run as a script in a process of its own: the tests of the folder given as its argument.

Reads one line, repeats it at the end with the number of tests that ran and that did not pass. Standard
library only, and the folder comes last on the path, so that nothing in it stands for a module of Python.
"""

import sys
import unittest


def main(folder: str) -> None:
    """Run `test_*.py` in `folder` and report."""
    word = sys.stdin.readline().strip()
    sys.path.append(folder)
    sys.dont_write_bytecode = True
    suite = unittest.TestLoader().discover(folder, top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    sys.stdout.write(f"\n{word} {result.testsRun} {bad}\n")


if __name__ == "__main__":
    main(sys.argv[1])
