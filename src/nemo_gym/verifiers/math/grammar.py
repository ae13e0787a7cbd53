"""A precedence parser with limits on depth and size, from tokens to trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from nemo_gym.verifiers.math import scan
from nemo_gym.verifiers.math.brackets import is_builder
from nemo_gym.verifiers.math.cursor import MAX_DEPTH, MAX_NODES, Cursor
from nemo_gym.verifiers.math.literals import literal, repeating, small, spell
from nemo_gym.verifiers.math.tree import (
    MINUS_ONE,
    Apply,
    Based,
    Builder,
    Combination,
    Constant,
    Group,
    Listing,
    Marked,
    Matrix,
    Node,
    Noted,
    Number,
    PlusMinus,
    Power,
    Product,
    Quantity,
    Relation,
    Series,
    Sum,
    Symbol,
    Unreadable,
    Words,
    negate,
    transform,
)
from nemo_gym.verifiers.math.wording import REALS, words_node

_COMPARISONS = frozenset(("=", "<", ">", "<=", ">=", "!=", "~", "∈"))
_CONNECTIVES = {"⇔": 1, "⇒": 2, "∨": 3, "∧": 4}
_SET_SIGNS = frozenset(("∪", "∩", "∖"))
_LOWEST, _RELATION, _SETS, _SUM, _PRODUCT, _PREFIX, _POWER = 0, 5, 6, 10, 20, 25, 30
_OPENING = frozenset(("(", "[", "{", "\\{"))
_CONSTANTS = {"e": "e", "i": "i"}
_MATRICES = frozenset(("pmatrix", "bmatrix", "matrix", "Bmatrix", "array", "smallmatrix", "vmatrix"))
_SYSTEMS = frozenset(("cases", "aligned", "align", "gathered", "gather", "split"))
_CURRENCY = frozenset(("dollar", "euro", "sterling", "yen", "rupee"))
_CONDITIONS = frozenset(("if", "for", "when", "where"))
_OPAQUE = frozenset(("f", "O", "\\Theta", "\\Omega", "\\theta"))


@dataclass
class Parser(Cursor):
    """Reads expressions from tokens; every method raises Unreadable for what it cannot read."""

    def items(self, closes: Callable[[scan.Token], bool]) -> tuple[list[Node], str]:
        """Read expressions between separators up to a token that `closes`, and how they are joined."""
        items: list[Node] = []
        separators: set[str] = set()
        while items or not closes(self.token):
            items.append(self.item())
            if closes(self.token):
                break
            separators.add(self.separator())
        joints = separators - {",", ";"}
        if len(joints) > 1 or (":" in joints and len(separators) > 1):
            raise Unreadable("items joined in several ways")
        return items, joints.pop() if joints and ("or" in joints or len(separators) == 1) else ","

    def separator(self) -> str:
        if not self.at(",", ";", "or", "and", ":"):
            raise Unreadable("unexpected token")
        separator = self.advance().text
        if separator in (",", ";") and self.at("or", "and"):
            return self.advance().text if self.at("or") else (self.advance() and ",")
        return separator

    def item(self) -> Node:
        """Read one expression with its unit."""
        outer, self.unit = self.unit, None
        node = self.with_unit(self.expression(_LOWEST))
        self.unit = outer
        return node

    def with_unit(self, node: Node) -> Node:
        unit, self.unit = self.unit, None
        return node if unit is None else Quantity(node, unit)

    def expression(self, floor: int) -> Node:
        self.depth += 1
        self.nodes += 1
        if self.depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise Unreadable("too deep or too large")
        left = self.prefix()
        while True:
            longer = self.extend(left, floor)
            if longer is None:
                break
            left = longer
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
        if self.at("¬"):
            self.advance()
            return Apply("not", (self.expression(_PREFIX),))
        if self.token.kind == "command" and self.token.text in _CURRENCY:
            self.currency()
            return self.expression(_PREFIX)
        return self.postfix(self.primary())

    def extend(self, left: Node, floor: int) -> Node | None:
        """Return `left` joined with what follows it, or None when nothing binds tighter than `floor`."""
        if self.at("^"):
            return self.power(left) if floor <= _POWER else None
        if self.at("+", "-", "±", "∓"):
            return self.sum(left) if floor <= _SUM else None
        if self.at("*", "/"):
            return self.product(left) if floor <= _PRODUCT else None
        if self.token.kind == "operator" and self.token.text in _SET_SIGNS:
            return self.combination(left, _SETS) if floor <= _SETS else None
        if self.token.kind == "operator" and self.token.text in _COMPARISONS:
            return self.relation(left) if floor <= _RELATION else None
        if self.token.kind == "operator" and (level := _CONNECTIVES.get(self.token.text)):
            return self.combination(left, level) if floor <= level else None
        if self.at("over", "choose"):
            return self.stack(left) if floor <= _LOWEST else None
        if floor <= _PRODUCT and self.starts_factor():
            if self.number_apart(left):
                raise Unreadable("a number beside another value")
            return self.product(left)
        return None

    def stack(self, top: Node) -> Node:
        """Read the TeX forms `a \\over b` and `n \\choose k`."""
        if isinstance(top, Relation):
            raise Unreadable("a relation over something")
        name = self.advance().text
        bottom = self.expression(_LOWEST)
        return Apply("binom", (top, bottom)) if name == "choose" else Product((top, Power(bottom, MINUS_ONE)))

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
        while not any(isinstance(factor, Words) for factor in factors):
            if self.at("*", "/"):
                operator = self.advance().text
                factor = self.expression(_PRODUCT + 1)
                factors.append(Power(factor, MINUS_ONE) if operator == "/" else factor)
            elif self.starts_factor():
                if self.number_apart(factors[-1]):
                    raise Unreadable("a number beside another value")
                factors.append(self.expression(_PRODUCT + 1))
            else:
                return Product(tuple(factors))
        raise Unreadable("words inside a formula")

    def combination(self, first: Node, level: int) -> Node:
        """Read sets or statements joined by one sign; different signs need brackets."""
        sign = self.token.text
        parts = [first]
        while self.at(sign):
            self.advance()
            parts.append(self.expression(level + 1))
        if sign in ("∖", "⇒") and len(parts) > 2:
            raise Unreadable("a chain of differences or implications")
        if sign in _SET_SIGNS and self.token.text in _SET_SIGNS:
            raise Unreadable("set signs without brackets")
        return Combination(sign, tuple(parts))

    def relation(self, first: Node) -> Node:
        sides = [self.with_unit(first)]
        operators: list[str] = []
        while self.token.kind == "operator" and self.token.text in _COMPARISONS:
            operators.append(self.advance().text)
            sides.append(self.with_unit(self.expression(_RELATION + 1)))
        return Relation(tuple(sides), tuple(operators))

    def starts_factor(self) -> bool:
        match self.token:
            case scan.Token("number" | "based" | "symbol"):
                return True
            case scan.Token("command", text):
                return text not in ("rfloor", "rceil", "circ", "over", "choose", *_CURRENCY)
            case scan.Token("operator", text):
                return text in _OPENING or (text == "|" and not self.bars) or text.startswith("begin:")
            case _:
                return False

    def postfix(self, node: Node) -> Node:
        """Read signs and units behind a value."""
        is_number = isinstance(node, Number)
        for _ in range(4):
            if self.at("!"):
                self.advance()
                node = Apply("factorial", (node,))
            elif self.at("%"):
                self.advance()
                node = Marked(node, "%")
            elif self.at("circ"):
                self.advance()
                node = self.after_degree(Marked(node, "°"))
            elif self.at("^") and (length := self.superscript_circle()):
                self.position += length
                node = self.after_degree(Marked(node, "°"))
            elif not isinstance(node, Words) and self.at_unit(is_number):
                node = self.read_measure(node)
            else:
                return node
        raise Unreadable("too many signs behind a value")

    def superscript_circle(self) -> int:
        """Return how many tokens spell the degree sign here: 0 when none do."""
        following = [token.text for token in self.tokens[self.position + 1 : self.position + 4]]
        if following[:1] == ["circ"]:
            return 2
        return 4 if following == ["{", "circ", "}"] else 0

    def primary(self) -> Node:
        token = self.advance()
        match token.kind:
            case "number":
                return self.number(token.text)
            case "based":
                digits, _, base = token.text.partition(":")
                return Based(digits, int(base))
            case "symbol":
                return self.symbol(token.text)
            case "word":
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
        if self.at("frac") and self.fraction_of_words():
            return value
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
                raise Unreadable("a number beside another value")

    def symbol(self, name: str) -> Node:
        if self.at("_"):
            self.advance()
            name += "_" + spell(self.argument())
        while self.at("'"):
            self.advance()
            name += "'"
        if name == "\\mathbbR":
            return self.reals()
        if name.rstrip("'") in _OPAQUE and self.at("(") and not self.token.spaced:
            self.advance()
            inner = self.group("(", (")",))
            return Apply(f"{name}()", inner.items if isinstance(inner, Group) else (inner,))
        return Constant(_CONSTANTS[name]) if name in _CONSTANTS else Symbol(name)

    def reals(self) -> Node:
        """Read the real line, or its positive or negative half."""
        signs = [token.text for token in self.ahead(4)]
        for opening, length in ((["^"], 2), (["^", "{"], 4)):
            sign = signs[length // 2 : length // 2 + 1]
            if signs[: len(opening)] == opening and sign in (["+"], ["-"]):
                self.position += length
                half = Number(Fraction(0))
                infinity = Constant("infinity")
                ends = (half, infinity) if sign == ["+"] else (negate(infinity), half)
                return Group("(", ")", ends)
        return REALS

    def words(self, first: str) -> Node:
        parts = [first]
        while self.token.kind in ("word", "symbol"):
            parts.append(self.advance().text)
        return words_node(" ".join(parts))

    def command(self, name: str) -> Node:
        match name:
            case "pi":
                return Constant("pi")
            case "infty":
                return Constant("infinity")
            case "emptyset":
                return Group("{", "}", ())
            case "R":
                return REALS
            case "frac":
                return self.fraction()
            case "binom":
                return Apply("binom", (self.argument(), self.argument()))
            case "sqrt" | "cbrt":
                return self.root(name)
            case "overline":
                return Apply("conj", (self.argument(),))
            case "hat" | "tilde" | "dot" | "ddot" | "widehat" | "widetilde" | "check" | "breve":
                return Symbol(f"{name} {spell(self.argument())}")
            case "sum" | "prod":
                return self.series(name)
            case "lfloor" | "lceil":
                inner = self.expression(_LOWEST)
                self.expect("r" + name[1:])
                return Apply(name[1:], (inner,))
            case _ if name in scan.FUNCTIONS:
                return self.function(name)
            case _:
                raise Unreadable(f"{name} is not evaluated")

    def series(self, kind: str) -> Node:
        """Read a sum or product over a whole-number index with both limits."""
        limits: dict[str, Node] = {}
        for _ in range(2):
            if not self.at("_", "^"):
                raise Unreadable("a sum without its limits")
            place = self.advance().text
            limits[place] = self.argument()
        match limits:
            case {"_": Relation((Symbol(index), low), ("=",)), "^": high}:
                return Series(kind, index, low, high, self.expression(_PRODUCT))
            case {"_": Relation((Constant("i"), low), ("=",)), "^": high}:
                body = self.expression(_PRODUCT)
                indexed = transform(body, lambda part: Symbol("i") if part == Constant("i") else part)
                return Series(kind, "i", low, high, indexed)
            case _:
                raise Unreadable("a sum without its limits")

    def fraction(self) -> Node:
        top = self.argument()
        return Product((top, Power(self.argument(), MINUS_ONE)))

    def root(self, name: str) -> Node:
        index: Node = Number(Fraction(3 if name == "cbrt" else 2))
        if name == "sqrt" and self.at("["):
            self.advance()
            index = self.expression(_LOWEST)
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
        unit = self.unit
        if self.at("{"):
            self.advance()
            bars, self.bars = self.bars, 0
            node = self.expression(_LOWEST)
            self.bars = bars
            self.expect("}")
        else:
            node = otherwise()
        if self.unit is not unit:
            raise Unreadable("a unit inside a formula")
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
            case "|" | "mid":
                self.bars += 1
                inner = self.expression(_LOWEST)
                self.bars -= 1
                self.expect(opening)
                return Apply("abs", (inner,))
            case _ if opening.startswith("begin:"):
                return self.matrix(opening.removeprefix("begin:"))
            case _:
                raise Unreadable(f"unexpected {opening}")

    def group(self, opening: str, closings: tuple[str, ...]) -> Node:
        if opening in ("{", "\\{") and is_builder(self.tokens, self.position, opening):
            return self.builder(closings[0])
        bars, self.bars = self.bars, 0
        items, joint = self.items(lambda token: token.kind == "end" or token.text in closings)
        self.bars = bars
        if not self.at(*closings):
            raise Unreadable("a bracket is not closed")
        closing = self.advance().text
        matched = closing == closings[0]
        if joint == "or" or (joint == ":" and len(items) > 1):
            raise Unreadable("alternatives between brackets")
        if opening == "\\{":
            return Group("{", "}", tuple(items))
        if len(items) == 1 and matched:
            return items[0]
        if not items and opening != "{":
            raise Unreadable("nothing between brackets")
        return Group(opening, closing, tuple(items))

    def builder(self, closing: str) -> Node:
        """Read the head and the conditions of `{x | x > 2}`."""
        bars, self.bars = self.bars, 1
        head = self.expression(_LOWEST)
        self.bars = 0
        if not self.at("|", "mid", ":"):
            raise Unreadable("a set without its conditions")
        self.advance()
        conditions, joint = self.items(lambda token: token.kind == "end" or token.text == closing)
        self.bars = bars
        self.expect(closing)
        parts = (Combination("∨", tuple(conditions)),) if joint == "or" else tuple(conditions)
        if isinstance(head, Relation):
            return Builder(head.sides[0], (head, *parts))
        return Builder(head, parts)

    def entry(self, name: str) -> Node:
        """Read one entry of a matrix; among cases a comma may end it and a word such as `if` begin it."""
        if name != "cases":
            return self.expression(_LOWEST)
        if self.at("where") or (self.token.kind == "word" and self.token.text.casefold() in _CONDITIONS):
            self.advance()
        node = self.expression(_LOWEST)
        if self.at(",", ";"):
            self.advance()
        return node

    def matrix(self, name: str) -> Node:
        if name not in _MATRICES and name not in _SYSTEMS:
            raise Unreadable(f"{name} is not evaluated")
        if name == "array" and self.at("{"):
            while not self.at("}"):
                if self.advance().kind == "end":
                    raise Unreadable("array columns are not closed")
            self.advance()
        rows: list[list[Node]] = [[]]
        end = f"end:{name}"
        while not self.at(end):
            rows[-1].append(self.entry(name))
            if self.at("\\\\"):
                self.advance()
                if not self.at(end):
                    rows.append([])
            elif not self.at(end):
                self.expect("&")
        self.advance()
        if len({len(row) for row in rows}) != 1:
            raise Unreadable("ragged matrix")
        if name == "cases" and len(rows[0]) == 2:
            return Group("cases", "cases", tuple(Noted(value, (condition,)) for value, condition in rows))
        if name in _SYSTEMS:
            if not all(
                len(row) == 1 and isinstance(row[0], Relation) and row[0].operators == ("=",) for row in rows
            ):
                raise Unreadable("rows that are no equations")
            return Listing(tuple(row[0] for row in rows), ",")
        if len(rows) == len(rows[0]) == 1 and name in ("array", "matrix"):
            return rows[0][0]
        entries = Matrix(tuple(tuple(row) for row in rows))
        return Apply("det", (entries,)) if name == "vmatrix" else entries
