"""The value of an expression with whole numbers and names."""

from .scanner import scan


class Evaluator:
    """Evaluates expressions with names for numbers."""

    def __init__(self, names: dict[str, int]) -> None:
        self._names = names
        self._tokens: list[str] = []

    def value_of(self, text: str) -> int:
        """The value; division rounds down.

        Raises:
            ValueError: it is no expression.
        """
        self._tokens = scan(text)
        value = self._sum()
        if self._tokens:
            raise ValueError(f"unexpected {self._tokens[0]!r}")
        return value

    def _sum(self) -> int:
        value = self._product()
        while self._tokens and self._tokens[0] in "+-":
            if self._tokens.pop(0) == "+":
                value += self._product()
            else:
                value -= self._product()
        return value

    def _product(self) -> int:
        value = self._single()
        while self._tokens and self._tokens[0] in "*/":
            if self._tokens.pop(0) == "*":
                value *= self._single()
            else:
                value //= self._single()
        return value

    def _single(self) -> int:
        if not self._tokens:
            raise ValueError("unexpected end")
        token = self._tokens.pop(0)
        if token == "-":
            return -self._single()
        if token == "(":
            value = self._sum()
            if not self._tokens or self._tokens.pop(0) != ")":
                raise ValueError("a bracket is missing")
            return value
        if token in self._names:
            return self._names[token]
        return int(token)
