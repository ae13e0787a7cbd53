"""A Python interpreter that keeps its variables: each line of its input is code as JSON, and each line of its
output what came of it, as JSON. It runs in a sandbox and needs only the standard library."""

import ast
import contextlib
import io
import json
import sys
import traceback

_MAX_TEXT = 8000


def run(code: str, variables: dict[str, object]) -> dict[str, str | None]:
    """What some code printed, the value of its last expression, and its exception."""
    stdout, stderr = io.StringIO(), io.StringIO()
    result = error = None
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            tree = ast.parse(code)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, "code", "exec"), variables)  # noqa: S102 - this process is the sandbox's
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "code", "eval"), variables)  # noqa: S307
                result = None if value is None else repr(value)
        except BaseException:
            error = traceback.format_exc(limit=-3)
    texts = {"stdout": stdout.getvalue(), "stderr": stderr.getvalue(), "result": result, "error": error}
    return {name: text and _short(text) for name, text in texts.items()}


def _short(text: str) -> str:
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
