"""A Python interpreter that keeps its variables: each line of its input is code as JSON, and each line of its
output what the code printed, as JSON. It runs in a sandbox and needs only the standard library."""

import ast
import contextlib
import io
import json
import sys
import traceback

_MAX_TEXT = 8000


def run(code: str, variables: dict[str, object]) -> str:
    """The output of some code, with the value of its last expression or its exception."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            tree = ast.parse(code)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "code", "exec"), variables)  # noqa: S102 - this process is the sandbox's
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "code", "eval"), variables)  # noqa: S307
                if value is not None:
                    print(repr(value))  # noqa: T201
        except BaseException:
            output.write(traceback.format_exc(limit=-3))
    text = output.getvalue()
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT // 2] + "\n...\n" + text[-_MAX_TEXT // 2 :]


def main() -> None:
    """Run code until the input ends."""
    answers = sys.stdout
    variables: dict[str, object] = {"__name__": "__main__"}
    for line in sys.stdin:
        answers.write(json.dumps(run(json.loads(line), variables)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
