"""Units of measure: their names, prefixes, powers and exact conversions, and the nouns of counted things."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from nemo_gym.verifiers.denials import denies, word_set

MAX_POWER = 12
MAX_WORDS = 6


@dataclass(frozen=True, slots=True)
class Unit:
    """A product of powers of basic units times `scale`, or the noun of counted things.

    `letters` are the spelled factors of a measure, for reading `5 m` as a product; a measure may have the
    noun of a direction too, as in `5 km north`. `odd` marks words that are no
    plural noun: an expected answer may have them, but they add nothing to an answer without them.
    """

    scale: Fraction = Fraction(1)
    powers: tuple[tuple[str, int], ...] = ()
    letters: tuple[tuple[str, int], ...] = ()
    nouns: tuple[str, ...] = ()
    odd: bool = False


def conversion(gold: Unit | None, prediction: Unit | None) -> Fraction | None:
    """Return the factor for the predicted value, or None when the units contradict each other."""
    if gold is None or prediction is None:
        return None if prediction and prediction.odd else Fraction(1)
    if _STERLING in (gold.powers, prediction.powers) and _is_pounds(gold) and _is_pounds(prediction):
        return prediction.scale / gold.scale if gold.powers == prediction.powers else Fraction(1)
    if bool(gold.letters) != bool(prediction.letters):
        return None
    if (gold.nouns and prediction.nouns) or not gold.letters:
        shorter, longer = sorted((gold.nouns, prediction.nouns), key=len)
        if not shorter or longer[-len(shorter) :] != shorter:
            return None
    if gold.powers == prediction.powers:
        return prediction.scale / gold.scale
    plain = {_generic(gold.powers), _generic(prediction.powers)}
    return (
        Fraction(1) if len(plain) == 1 and any("unit" in dict(u.powers) for u in (gold, prediction)) else None
    )


def _is_pounds(unit: Unit) -> bool:
    return unit.powers == _STERLING or [name.rstrip("s") for name, _ in unit.letters] == ["pound"]


def _generic(powers: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    return tuple(("m" if name == "unit" else name, power) for name, power in powers)


def is_unit(word: str) -> bool:
    """Whether a word or symbol names a unit of measure."""
    return _lookup(word) is not None


def temperature(word: str) -> Unit | None:
    """Return the temperature unit that may follow a degree sign."""
    name = {"c": "degC", "celsius": "degC", "f": "degF", "fahrenheit": "degF"}.get(word.casefold())
    return Unit(powers=((name, 1),), letters=((name, 1),)) if name else None


def currency(sign: str) -> Unit:
    """Return the unit of a currency sign."""
    name = _CURRENCIES[sign]
    return Unit(powers=((name, 1),), letters=((name, 1),))


def with_direction(unit: Unit, noun: str) -> Unit | None:
    """Return a measure with the noun of a direction; None where the word is none."""
    word = noun.casefold()
    return replace(unit, nouns=(word,)) if word in _DIRECTIONS else None


def quotient(unit: Unit, divisor: Unit) -> Unit:
    """Return a currency unit per unit of something, as in `$7 per hour`; `divisor` has negative powers."""
    powers = tuple(sorted((*unit.powers, *divisor.powers)))
    return Unit(unit.scale * divisor.scale, powers, (*unit.letters, *divisor.letters))


def phrase(parts: list[str]) -> Unit | None:
    """Return the unit that a phrase names: a measure, one with a direction, or a counted noun."""
    if unit := measure(parts):
        return unit
    if len(parts) > 1 and (unit := measure(parts[:-1])) and (unit := with_direction(unit, parts[-1])):
        return unit
    return noun_unit(parts)


def measure(parts: list[str]) -> Unit | None:
    """Return the unit spelled by words, `/`, `*`, and `^` before a whole number; None if it isn't one."""
    scale = Fraction(1)
    powers: dict[str, int] = {}
    letters: list[tuple[str, int]] = []
    direction, ahead = 1, 1
    position = 0
    if len(parts) > 1 and parts[-1].casefold() == "old":
        parts = parts[:-1]
    while position < len(parts):
        word = parts[position].strip(".") or parts[position]
        position += 1
        if word in ("/", "per"):
            direction = -1
        elif word in ("*", "-"):
            direction = 1 if word == "*" else direction
        elif word.casefold() in _AHEAD and position < len(parts):
            ahead = _AHEAD[word.casefold()]
        else:
            entry = _lookup(word)
            if entry is None:
                return None
            power = ahead
            if parts[position : position + 1] == ["^"]:
                if position + 1 >= len(parts) or not _WHOLE.fullmatch(parts[position + 1]):
                    return None
                power *= int(parts[position + 1])
                position += 2
            elif position < len(parts) and parts[position].casefold() in _BEHIND:
                power *= _BEHIND[parts[position].casefold()]
                position += 1
            power *= direction
            ahead = 1
            if abs(power) > MAX_POWER:
                return None
            scale *= entry[0] ** power
            for name, own in entry[1]:
                powers[name] = powers.get(name, 0) + own * power
            letters.append((word, power))
    if not letters:
        return None
    unit = Unit(scale, tuple(sorted((n, p) for n, p in powers.items() if p)), tuple(letters))
    return replace(unit, odd=True) if parts[0] in _UNSURE and len(parts) == 1 else unit


def hedges(words: Iterable[str]) -> bool:
    """Whether a name contains a word that denies it or leaves it open."""
    return any(word.casefold() in _OPEN for word in words)


def noun_unit(parts: Iterable[str]) -> Unit | None:
    """Return the noun phrase as a unit; None when its words hedge, deny, compare or count.

    A phrase with an unknown singular noun is `odd`.
    """
    words = [word.strip(".'").casefold() for word in parts]
    for ending in _ENDINGS:
        if len(words) > len(ending) and words[-len(ending) :] == ending:
            words = words[: -len(ending)]
    if not 0 < len(words) <= MAX_WORDS or any(
        not word.replace("-", "").replace("'", "").isalpha() or word in _NEVER for word in words
    ):
        return None
    if denies(" ".join(words)):
        return None
    plural = [_singular(word) is not None for word in words]
    if "of" in words:
        head = words.index("of") - 1
        odd = head < 0 or not plural[head]
    else:
        odd = not plural[-1]
    odd = odd or words[-1] in _PARTS
    return Unit(nouns=tuple(_singular(word) or word for word in words), odd=odd)


def _singular(word: str) -> str | None:
    """Return the singular of a noun that can be counted, or None when the word may be no noun."""
    if word in _NOUNS:
        return word
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return None
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(("xes", "ches", "shes", "sses")) else word[:-1]


def _lookup(word: str) -> tuple[Fraction, tuple[tuple[str, int], ...]] | None:
    return _UNITS.get(word) or (_UNITS.get(word.casefold()) if len(word) > 3 else None)


_STERLING = (("sterling", 1),)
_UNSURE = frozenset(("B", "M"))
"""Units that may as well be short for a billion or a million."""
_PARTS = word_set("quarter quarters myriad myriads score scores couple couples lies lie")
"""Nouns that may be part of the value."""
_ENDINGS = (["in", "total"], ["in", "all"], ["total"], ["altogether"])
_WHOLE = re.compile(r"-?\d{1,2}")
_AHEAD = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_BEHIND = {"squared": 2, "cubed": 3}
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "sterling", "¥": "yen", "₹": "rupee"}
_PREFIXES = (
    ("", "", 0), ("n", "nano", -9), ("μ", "micro", -6), ("u", "micro", -6), ("m", "milli", -3),
    ("c", "centi", -2), ("d", "deci", -1), ("h", "hecto", 2), ("k", "kilo", 3), ("M", "mega", 6),
    ("G", "giga", 9), ("T", "tera", 12), ("p", "pico", -12),
)  # fmt: skip
_PREFIXED = (
    ("m", "meter metre", 1, "m"), ("g", "gram gramme", 1, "g"), ("s", "second", 1, "s"),
    ("A", "ampere amp", 1, "A"), ("mol", "mole", 1, "mol"), ("N", "newton", 1000, "g m s-2"),
    ("J", "joule", 1000, "g m2 s-2"), ("W", "watt", 1000, "g m2 s-3"), ("V", "volt", 1000, "g m2 s-3 A-1"),
    ("Pa", "pascal", 1000, "g m-1 s-2"), ("Hz", "hertz", 1, "s-1"), ("C", "coulomb", 1, "A s"),
    ("F", "farad", Fraction(1, 1000), "g-1 m-2 s4 A2"), ("ohm", "ohm", 1000, "g m2 s-3 A-2"),
    ("Ω", "ohm", 1000, "g m2 s-3 A-2"), ("L", "liter litre", Fraction(1, 1000), "m3"),
    ("l", "liter litre", Fraction(1, 1000), "m3"), ("eV", "electronvolt", 1, "eV"),
    ("Wh", "", 3_600_000, "g m2 s-2"), ("cal", "calorie", 1, "cal"), ("B", "byte", 8, "bit"),
    ("bit", "bit", 1, "bit"), ("T", "tesla", 1, "T"),
)  # fmt: skip
_SINGLE = (
    ("in inch inches", "0.0254", "m"), ("ft foot feet", "0.3048", "m"),
    ("yd yds yard yards", "0.9144", "m"), ("mi mile miles", "1609.344", "m"),
    ("lb lbs pound pounds", "453.59237", "g"), ("oz ounce ounces", "28.349523125", "g"),
    ("tonne tonnes", "1000000", "g"), ("ton tons", "1", "ton"), ("sec secs", "1", "s"),
    ("min mins minute minutes", "60", "s"), ("h hr hrs hour hours", "3600", "s"),
    ("d day days", "86400", "s"), ("wk week weeks", "604800", "s"), ("month months", "1", "month"),
    ("year years yr yrs", "12", "month"), ("decade decades", "120", "month"),
    ("century centuries", "1200", "month"), ("cent cents ¢", "0.01", "dollar"),
    ("dollar dollars USD usd", "1", "dollar"), ("euro euros EUR", "1", "euro"),
    ("pence penny pennies", "0.01", "sterling"), ("GBP sterling", "1", "sterling"),
    ("yen JPY", "1", "yen"), ("rupee rupees Rs INR", "1", "rupee"), ("mph", "0.44704", "m s-1"),
    ("kph kmph", "1/3.6", "m s-1"), ("rpm", "1/60", "s-1"), ("K kelvin kelvins", "1", "K"),
    ("unit units", "1", "unit"), ("acre acres", "1", "acre"), ("hectare hectares ha", "10000", "m2"),
    ("gallon gallons gal", "1", "gallon"), ("quart quarts qt", "0.25", "gallon"),
    ("pint pints pt", "0.125", "gallon"), ("cup cups", "0.0625", "gallon"), ("cc", "0.000001", "m3"),
    ("atm", "101325000", "g m-1 s-2"), ("bar", "100000000", "g m-1 s-2"), ("knot knots", "1", "knot"),
    ("radian radians rad", "1", "rad"), ("Km KM", "1000", "m"), ("Kg KG kgs", "1000", "g"),
    ("CM Cm cms", "0.01", "m"), ("kms", "1000", "m"), ("hp horsepower", "1", "horsepower"),
    ("dB decibel decibels", "1", "dB"), ("M", "1000", "m-3 mol"),
)  # fmt: skip


def _powers(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(
        sorted(
            (re.sub(r"-?\d+$", "", part), int((re.findall(r"-?\d+$", part) or ["1"])[0]))
            for part in text.split()
        )
    )


def _table() -> dict[str, tuple[Fraction, tuple[tuple[str, int], ...]]]:
    table: dict[str, tuple[Fraction, tuple[tuple[str, int], ...]]] = {}
    for symbol, names, size, powers in _PREFIXED:
        for short, long, exponent in _PREFIXES:
            value = (Fraction(size) * Fraction(10) ** exponent, _powers(powers))
            table.setdefault(short + symbol, value)
            for name in names.split():
                table.setdefault(long + name, value)
                table.setdefault(f"{long}{name}s", value)
    for names, size, powers in _SINGLE:
        top, _, bottom = size.partition("/")
        value = (Fraction(top) / Fraction(bottom or "1"), _powers(powers))
        table.update(dict.fromkeys(names.split(), value))
    return table


_UNITS = _table()
_NEVER = word_set(
    "or and not no nor non never none neither either if unless else otherwise but maybe perhaps "
    "possibly probably likely plausibly presumably might may could can cannot should would will "
    "shall must is are was were be been isn't ain't aren't wasn't doesn't don't wrong wrongly "
    "incorrect incorrectly false falsely untrue invalid impossible rejected refuted bad mistaken "
    "mistake mistakes error errors guess guesses guessing unsure uncertain unknown about "
    "approximately approx around roughly nearly almost circa least less than lower upper bound "
    "bounds minimum maximum min max to through thru until till from between plus minus times "
    "divided multiplied with without except excluding instead rather versus vs other others "
    "another any also then thus hence because since when where while however though although "
    "actually wait sometimes always usually often rarely yes ok okay typo alternatively this that "
    "these those it its they as at by for say says think thinks suppose supposes assume assumes "
    "assuming fails fail equals equal exceeds zero one two three four five six seven eight nine "
    "ten eleven twelve hundred thousand million billion trillion dozen half double twice thrice "
    "triple negative opposite inverse pas mais nicht oder und plutot alternatives guesswork "
    "whereas besides unlike only exactly contradicts disagrees differs excludes denies rejects "
    "negates ones twos threes fours fives sixes sevens eights nines tens tenths hundredths "
    "thousandths millionths halves thirds fourths fifths sixths sevenths eighths ninths twelfths "
    "sixteenths cubed squared factorial opposites negatives inverses reciprocals contradictions "
    "falsehoods wrongs fakes fallacies impossibilities untruths doubts misses lacks breaks refuses"
)
_OPEN = word_set(
    "not no nor never none neither either or if unless else otherwise but maybe perhaps possibly "
    "probably likely wrong incorrect false untrue impossible except excluding other than guess "
    "approximately about bound"
)
_DIRECTIONS = word_set(
    "increase decrease gain loss profit discount rise drop growth reduction north south east west "
    "left right up down northeast northwest southeast southwest above below higher lower late "
    "early faster slower longer shorter taller clockwise counterclockwise anticlockwise"
)
_NOUNS = word_set(
    "people children men women mice geese teeth sheep fish deer oxen students person child man "
    "woman increase decrease gain loss profit discount rise drop growth reduction north south east "
    "west left clockwise counterclockwise anticlockwise heads tails solution root way point "
    "triangle square circle term digit day ball apple coin car student element subset permutation "
    "combination member edge vertex vertices face side integer prime factor divisor value zero "
    "pair dice money water cookie marble candy book page ticket"
)
