"""Run as a script in a sandbox: the tests of the folder given as its first argument.

Reads a word from the file given as its second, deletes the file, and repeats the word at the end with the
number of tests that ran and that did not pass. Standard library only, and the folder comes last on the path,
so that nothing in it stands for a module of Python.
"""

import sys
import unittest
from pathlib import Path


def main(folder: str, word_file: str) -> None:
    """Run `test_*.py` in `folder` and report."""
    word = Path(word_file).read_text()
    Path(word_file).unlink()
    sys.path.append(folder)
    sys.dont_write_bytecode = True
    suite = unittest.TestLoader().discover(folder, top_level_dir=folder)
    result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    sys.stdout.write(f"\n{word} {result.testsRun} {bad}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
