"""A precedence parser with limits on depth and size, from tokens to trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from nemo_gym.verifiers.math import scan
from nemo_gym.verifiers.math.literals import literal, repeating, small, spell
from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Apply,
    Based,
    Constant,
    Group,
    Listing,
    Marked,
    Matrix,
    Node,
    Number,
    PlusMinus,
    Power,
    Product,
    Relation,
    Sum,
    Symbol,
    Union,
    Unreadable,
    Words,
    negate,
)

MAX_DEPTH = 64
MAX_NODES = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """One reading of an answer: its tree and the unit it names (empty when it names none)."""

    node: Node
    unit: str


def read(text: str) -> list[Answer]:
    """Return the readings of an answer: two when a comma may group digits or separate items, else one.

    Text that can't be read within the bounds has none.
    """
    try:
        cleaned = scan.clean(text)
    except Unreadable:
        return []
    if scan.is_prose(cleaned):
        return [Answer(Words(scan.plain_words(cleaned)), "")]
    answers: list[Answer] = []
    for thousands in (True, False):
        try:
            tokens = scan.tokenize(cleaned, thousands=thousands)
            parser = _Parser(tokens)
            answer = Answer(parser.answer(), " ".join(parser.units))
        except Unreadable:
            continue
        if answer not in answers:
            answers.append(answer)
    return answers


_COMPARISONS = frozenset(("=", "<", ">", "<=", ">=", "!=", "~", "∈"))
_RELATION, _UNION, _SUM, _PRODUCT, _PREFIX, _POWER = 2, 4, 10, 20, 25, 30
_OPENING = frozenset(("(", "[", "{", "\\{"))
_CONSTANTS = {"e": "e", "i": "i"}
_MATRICES = frozenset(("pmatrix", "bmatrix", "matrix", "Bmatrix", "array", "smallmatrix"))


@dataclass
class _Parser:
    tokens: list[scan.Token]
    units: list[str] = field(default_factory=list[str])
    position: int = 0
    depth: int = 0
    bars: int = 0
    nodes: int = 0

    def answer(self) -> Node:
        items, joint = self.items(lambda token: token.kind == "end")
        if not items:
            raise Unreadable("nothing there")
        return items[0] if len(items) == 1 else Listing(tuple(items), joint)

    @property
    def token(self) -> scan.Token:
        return self.tokens[self.position] if self.position < len(self.tokens) else scan.END

    def advance(self) -> scan.Token:
        token = self.token
        self.position += 1
        return token

    def at(self, *texts: str) -> bool:
        return self.token.kind in ("operator", "command") and self.token.text in texts

    def expect(self, text: str) -> None:
        if not self.at(text):
            raise Unreadable(f"expected {text}")
        self.position += 1

    def items(self, closes: Callable[[scan.Token], bool]) -> tuple[list[Node], str]:
        """Read expressions between separators, and the separator, up to a token that `closes`."""
        found: list[Node] = []
        joint = ","
        if closes(self.token):
            return found, joint
        while True:
            found.append(self.expression(0))
            if closes(self.token):
                return found, joint
            if not self.at(",", ";", "or", ":"):
                raise Unreadable("unexpected token")
            separator = self.advance().text
            if self.at(",", "or"):
                separator = self.advance().text
            if separator in ("or", ":"):
                joint = separator

    def expression(self, floor: int) -> Node:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise Unreadable("too deep or too large")
        left = self.prefix()
        while True:
            grown = self.extend(left, floor)
            if grown is None:
                break
            left = grown
        self.depth -= 1
        return left

    def prefix(self) -> Node:
        if self.at("-"):
            self.advance()
            return negate(self.expression(_PREFIX))
        if self.at("+"):
            self.advance()
            return self.expression(_PREFIX)
        if self.at("±", "∓"):
            sign = 1 if self.advance().text == "±" else -1
            return PlusMinus(self.expression(_PRODUCT), sign)
        return self.postfix(self.primary())

    def extend(self, left: Node, floor: int) -> Node | None:
        """Return `left` joined with what follows it, or None when nothing binds tighter than `floor`."""
        if self.at("^"):
            return self.power(left) if floor <= _POWER else None
        if self.at("+", "-", "±", "∓"):
            return self.sum(left) if floor <= _SUM else None
        if self.at("*", "/"):
            return self.product(left) if floor <= _PRODUCT else None
        if self.at("∪"):
            return self.union(left) if floor <= _UNION else None
        if self.token.kind == "operator" and self.token.text in _COMPARISONS:
            return self.relation(left) if floor <= _RELATION else None
        if floor <= _PRODUCT and self.starts_factor():
            if self.token.kind == "number" and isinstance(left, Number):
                raise Unreadable("two numbers side by side")
            return self.product(left)
        return None

    def power(self, base: Node) -> Node:
        self.advance()
        return self.postfix(Power(base, self.exponent()))

    def exponent(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("too deep")
        if self.at("-"):
            self.advance()
            node = negate(self.exponent())
        else:
            node = literal(self.advance().text) if self.token.kind == "number" else self.primary()
            if self.at("^") and not self.superscript_circle():
                self.advance()
                node = Power(node, self.exponent())
        self.depth -= 1
        return node

    def sum(self, first: Node) -> Node:
        terms = [first]
        while self.at("+", "-", "±", "∓"):
            operator = self.advance().text
            term = self.expression(_SUM + 1)
            if operator in "±∓":
                term = PlusMinus(term, 1 if operator == "±" else -1)
            terms.append(negate(term) if operator == "-" else term)
        return Sum(tuple(terms))

    def product(self, first: Node) -> Node:
        factors = [first]
        while True:
            if self.at("*", "/"):
                operator = self.advance().text
                factor = self.expression(_PRODUCT + 1)
                factors.append(Power(factor, MINUS_ONE) if operator == "/" else factor)
            elif self.starts_factor():
                if self.token.kind == "number" and isinstance(factors[-1], Number):
                    raise Unreadable("two numbers side by side")
                factors.append(self.expression(_PRODUCT + 1))
            else:
                return Product(tuple(factors))

    def union(self, first: Node) -> Node:
        parts = [first]
        while self.at("∪"):
            self.advance()
            parts.append(self.expression(_UNION + 1))
        return Union(tuple(parts))

    def relation(self, first: Node) -> Node:
        sides = [first]
        operators: list[str] = []
        while self.token.kind == "operator" and self.token.text in _COMPARISONS:
            operators.append(self.advance().text)
            sides.append(self.expression(_RELATION + 1))
        return Relation(tuple(sides), tuple(operators))

    def starts_factor(self) -> bool:
        match self.token:
            case scan.Token("number" | "symbol" | "command"):
                return self.token.text not in ("rfloor", "rceil", "circ")
            case scan.Token("operator", text):
                return text in _OPENING or (text == "|" and not self.bars) or text.startswith("begin:")
            case _:
                return False

    def postfix(self, node: Node) -> Node:
        """Read signs and units behind a value."""
        for _ in range(4):
            if self.at("!"):
                self.advance()
                node = Apply("factorial", (node,))
            elif self.at("%"):
                self.advance()
                node = Marked(node, "%")
            elif self.at("circ"):
                self.advance()
                node = Marked(node, "°")
            elif self.at("^") and (length := self.superscript_circle()):
                self.position += length
                node = Marked(node, "°")
            elif self.token.kind == "unit":
                self.unit()
            else:
                return node
        raise Unreadable("too many signs behind a value")

    def superscript_circle(self) -> int:
        """Return how many tokens spell the degree sign here: 0 when none do."""
        following = [token.text for token in self.tokens[self.position + 1 : self.position + 4]]
        if following[:1] == ["circ"]:
            return 2
        return 4 if following == ["{", "circ", "}"] else 0

    def unit(self) -> None:
        """Read a unit of measure with its powers and quotients, which must end the item."""
        parts: list[str] = []
        while self.token.kind in ("unit", "words", "symbol") or (parts and self.at("/", "^", "*")):
            token = self.advance()
            parts.append(scan.UNITS.get(token.text.strip(), token.text.strip().casefold()))
            if token.text == "^":
                parts.append(self.unit_power())
        self.units.append("".join(parts))
        if not (self.token.kind == "end" or self.at(",", ";", "or", "=", "~", ")", "]", "}", "\\}", ":")):
            raise Unreadable("words inside a formula")

    def unit_power(self) -> str:
        braced = self.at("{")
        if braced:
            self.advance()
        sign = self.advance().text if self.at("-") else ""
        if self.token.kind != "number":
            raise Unreadable("a unit's power must be a number")
        power = sign + self.advance().text
        if braced:
            self.expect("}")
        return power

    def primary(self) -> Node:
        token = self.advance()
        match token.kind:
            case "number":
                return self.number(token.text)
            case "symbol":
                return self.symbol(token.text)
            case "words" | "unit":
                return self.words(token.text)
            case "command":
                return self.command(token.text)
            case "operator":
                return self.bracketed(token.text)
            case _:
                raise Unreadable("ends too early")

    def number(self, text: str) -> Node:
        if self.at("_"):
            self.advance()
            return Based(text, small(self.argument()))
        value = literal(text)
        if self.token.kind == "operator" and self.token.text.startswith("repeat:"):
            return repeating(text, self.advance().text.removeprefix("repeat:"))
        return self.mixed(value) or value if text.isdigit() else value

    def mixed(self, whole: Number) -> Node | None:
        """Read the fraction of a mixed number such as 3 1/2, if one follows."""
        ahead = self.tokens[self.position : self.position + 3]
        if self.at("frac"):
            self.advance()
            part = self.fraction()
        elif (
            [token.kind for token in ahead] == ["number", "operator", "number"]
            and ahead[0].spaced
            and ahead[1].text == "/"
            and ahead[0].text.isdigit()
            and ahead[2].text.isdigit()
        ):
            self.position += 3
            part = Product((literal(ahead[0].text), Power(literal(ahead[2].text), MINUS_ONE)))
        else:
            return None
        match part:
            case Product((Number(top), Power(Number(bottom), _))) if (
                0 < top < bottom and top.denominator == bottom.denominator == 1
            ):
                return Number(whole.value + top / bottom)
            case _ if ahead[0].text == "frac":
                return Product((whole, part))
            case _:
                raise Unreadable("two numbers side by side")

    def symbol(self, name: str) -> Node:
        if self.at("_"):
            self.advance()
            name += "_" + spell(self.argument())
        while self.at("'"):
            self.advance()
            name += "'"
        if name == "\\mathbbR":
            infinity = Constant("infinity")
            return Group("(", ")", (negate(infinity), infinity))
        return Constant(_CONSTANTS[name]) if name in _CONSTANTS else Symbol(name)

    def words(self, first: str) -> Node:
        parts = [first]
        while self.token.kind in ("words", "unit", "symbol"):
            parts.append(self.advance().text)
        return Words(scan.plain_words(" ".join(parts)))

    def command(self, name: str) -> Node:
        match name:
            case "pi":
                return Constant("pi")
            case "infty":
                return Constant("infinity")
            case "emptyset":
                return Group("{", "}", ())
            case "frac":
                return self.fraction()
            case "binom":
                return Apply("binom", (self.argument(), self.argument()))
            case "sqrt" | "cbrt":
                return self.root(name)
            case "lfloor" | "lceil":
                inner = self.expression(0)
                self.expect("r" + name[1:])
                return Apply(name[1:], (inner,))
            case _ if name in scan.FUNCTIONS:
                return self.function(name)
            case _:
                raise Unreadable(f"{name} is not evaluated")

    def fraction(self) -> Node:
        top = self.argument()
        return Product((top, Power(self.argument(), MINUS_ONE)))

    def root(self, name: str) -> Node:
        index: Node = Number(Fraction(3 if name == "cbrt" else 2))
        if name == "sqrt" and self.at("["):
            self.advance()
            index = self.expression(0)
            self.expect("]")
        if self.token.kind == "number":
            return Apply("root", (literal(self.advance().text), index))
        return Apply("root", (self.group_or(self.primary), index))

    def argument(self) -> Node:
        """Read one TeX argument: a braced group, or one digit, letter or command."""
        token = self.token
        if token.kind == "number" and len(token.text) > 1:
            if not token.text.isdigit():
                raise Unreadable("an argument without braces")
            self.tokens[self.position] = scan.Token("number", token.text[1:])
            return literal(token.text[0])
        if token.kind == "number":
            return literal(self.advance().text)
        if token.kind == "symbol":
            self.advance()
            return Constant(_CONSTANTS[token.text]) if token.text in _CONSTANTS else Symbol(token.text)
        return self.group_or(self.primary)

    def group_or(self, otherwise: Callable[[], Node]) -> Node:
        """Read a braced group as one expression, or what `otherwise` reads."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("too deep")
        if self.at("{"):
            self.advance()
            bars, self.bars = self.bars, 0
            node = self.expression(0)
            self.bars = bars
            self.expect("}")
        else:
            node = otherwise()
        self.depth -= 1
        return node

    def function(self, name: str) -> Node:
        base: Node | None = None
        power: Node | None = None
        for _ in range(2):
            if self.at("_"):
                self.advance()
                base = self.argument()
            elif self.at("^"):
                self.advance()
                power = self.exponent()
        if power == MINUS_ONE:
            name, power = f"arc{name}", None
        args = (*self.function_arguments(), *(() if base is None else (base,)))
        applied = Apply(name, args)
        return applied if power is None else Power(applied, power)

    def function_arguments(self) -> tuple[Node, ...]:
        if self.at("(", "[", "{", "\\{"):
            inner = self.bracketed(self.advance().text)
            return inner.items if isinstance(inner, Group) else (inner,)
        first = self.expression(_PREFIX)
        factors = [first]
        while self.token.kind == "symbol" or self.at("pi"):
            factors.append(self.expression(_PRODUCT + 1))
        return (factors[0] if len(factors) == 1 else Product(tuple(factors)),)

    def bracketed(self, opening: str) -> Node:
        match opening:
            case "(":
                return self.group("(", (")", "]"))
            case "[":
                return self.group("[", ("]", ")"))
            case "{":
                return self.group("{", ("}",))
            case "\\{":
                return self.group("\\{", ("\\}",))
            case "|":
                self.bars += 1
                inner = self.expression(0)
                self.bars -= 1
                self.expect("|")
                return Apply("abs", (inner,))
            case _ if opening.startswith("begin:"):
                return self.matrix(opening.removeprefix("begin:"))
            case _:
                raise Unreadable(f"unexpected {opening}")

    def group(self, opening: str, closings: tuple[str, ...]) -> Node:
        bars, self.bars = self.bars, 0
        items, _ = self.items(lambda token: token.kind == "end" or token.text in closings)
        self.bars = bars
        if not self.at(*closings):
            raise Unreadable("a bracket is not closed")
        closing = self.advance().text
        matched = closing == closings[0]
        if opening == "\\{":
            return Group("{", "}", tuple(items))
        if len(items) == 1 and matched:
            return items[0]
        if not items and opening != "{":
            raise Unreadable("nothing between brackets")
        return Group(opening, closing, tuple(items))

    def matrix(self, name: str) -> Node:
        if name not in _MATRICES:
            raise Unreadable(f"{name} is not evaluated")
        if name == "array" and self.at("{"):
            while not self.at("}"):
                if self.advance().kind == "end":
                    raise Unreadable("array columns are not closed")
            self.advance()
        rows: list[list[Node]] = [[]]
        end = f"end:{name}"
        while not self.at(end):
            rows[-1].append(self.expression(0))
            if self.at("\\\\"):
                self.advance()
                if not self.at(end):
                    rows.append([])
            elif not self.at(end):
                self.expect("&")
        self.advance()
        if len({len(row) for row in rows}) != 1:
            raise Unreadable("ragged matrix")
        return Matrix(tuple(tuple(row) for row in rows))
