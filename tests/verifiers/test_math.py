import math
import random
import threading
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nemo_gym.verifiers.math import equal, extract, grade
from nemo_gym.verifiers.math.parse import read

EQUAL = [  # prediction, gold
    ("42", "42"),
    ("42.0", "42"),
    ("042", "42"),
    ("+42", "42"),
    (" 42. ", "42"),
    ("$42$", "42"),
    (r"\(42\)", "$42$"),
    (r"\[42\]", "42"),
    (r"\boxed{42}", "42"),
    ("42", r"$\boxed{42}$"),
    ("**42**", "42"),
    (r"\text{42}", "42"),
    ("-7", "−7"),
    ("1,234", "1234"),
    ("1{,}234", "1234"),
    (r"1,\!234,\!567", "1234567"),
    (r"10\,000", "10000"),
    ("10 000", "10000"),
    ("1,234.50", "1234.5"),
    ("$18", "18"),
    (r"\$18.90", "18.9"),
    ("18 dollars", r"\$18"),
    ("5 cm", "5"),
    (r"5\text{ cm}", "5"),
    (r"5\text{ cm}^2", r"5\,\mathrm{cm}^2"),
    (r"12\text{ square units}", "12"),
    ("60 km/h", "60"),
    (r"5 \text{ m}/\text{s}", "5"),
    ("5 centimeters", r"5\text{ cm}"),
    ("0.5", "1/2"),
    (".5", r"\frac12"),
    (r"\frac{1}{2}", r"\dfrac{1}{2}"),
    (r"\tfrac12", "0.5"),
    (r"\frac1{72}", "1/72"),
    (r"-\frac{1}{2}", r"\frac{-1}{2}"),
    (r"\frac{6}{4}", r"\frac{3}{2}"),
    (r"3\frac{1}{2}", "7/2"),
    ("3 1/2", "3.5"),
    ("-3 1/2", "-3.5"),
    ("3½", "3.5"),
    ("½", "0.5"),
    (r"0.\overline{3}", r"\frac13"),
    (r"0.1\overline{6}", "1/6"),
    ("1e3", "1000"),
    ("1.5e-3", "0.0015"),
    (r"1.5 \times 10^{3}", "1500"),
    (r"3\cdot 10^8", "300000000"),
    ("2^10", "1024"),
    ("2**10", "1024"),
    ("2^{-1}", "0.5"),
    ("2^{3^2}", "512"),
    ("2^3^2", "512"),
    ("-2^2", "-4"),
    ("(-2)^2", "4"),
    ("2(3+4)", "14"),
    ("(2)(7)", "14"),
    ("6/2*3", "9"),
    ("1-2-3", "-4"),
    ("5!", "120"),
    (r"\binom{10}{3}", "120"),
    (r"\dbinom52", "10"),
    (r"\frac{10!}{3!7!}", "120"),
    (r"\sqrt{16}", "4"),
    (r"\sqrt2", "2^{1/2}"),
    (r"\sqrt[3]{-8}", "-2"),
    (r"\sqrt[3]{54}", r"3\sqrt[3]{2}"),
    (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    ("√2/2", r"\frac{\sqrt{2}}{2}"),
    (r"\sqrt{12}", r"2\sqrt{3}"),
    ("sqrt(12)", r"2\sqrt3"),
    (r"\frac{1}{\sqrt{3}-\sqrt{2}}", r"\sqrt{3}+\sqrt{2}"),
    (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{2}"),
    (r"\sqrt2\sqrt2-2", "0"),
    (r"2\pi", r"\pi \cdot 2"),
    ("9π/2", r"\frac{9\pi}{2}"),
    ("4.5pi", r"\frac{9}{2}\pi"),
    (r"\frac{\pi}{3}", r"\pi/3"),
    (r"e^{i\pi}", "-1"),
    (r"\ln e^2", "2"),
    (r"\ln(8)", r"3\ln 2"),
    (r"\log_2 8", "3"),
    (r"\log_{10}(1000)", "3"),
    (r"\log_4 8", "3/2"),
    (r"\sin 30^\circ", "1/2"),
    (r"\sin\frac{\pi}{6}", "0.5"),
    (r"\cos(60°)", r"\frac12"),
    (r"\tan^{-1}(1)", r"\frac{\pi}{4}"),
    (r"\arctan 1", "π/4"),
    (r"\sin^2 x + \cos^2 x", "1"),
    (r"\sin 2x", r"2\sin x\cos x"),
    (r"90^\circ", "90"),
    (r"90^{\circ}", r"90^\circ"),
    ("90°", "90 degrees"),
    (r"\pi/2", r"90^\circ"),
    ("3+4i", "4i+3"),
    (r"\sqrt{-4}", "2i"),
    ("i^2", "-1"),
    ("(1+i)^2", "2i"),
    (r"\frac{1}{i}", "-i"),
    (r"|{-3}|", "3"),
    (r"\left|3-4i\right|", "5"),
    (r"\lfloor 2.7 \rfloor", "2"),
    (r"\lceil 2.1\rceil", "3"),
    (r"\gcd(12, 18)", "6"),
    (r"\max(1,2)", "2"),
    ("x^2+2x+1", "(x+1)^2"),
    ("(x-1)(x+1)", "x^2-1"),
    ("2ab", "2ba"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\frac{x}{2}", "0.5x"),
    ("x^{-1}", r"\frac1x"),
    (r"\sqrt{x^2}", "|x|"),
    (r"x\sqrt{x}", "x^{3/2}"),
    (r"\ln x^2", r"2\ln x"),
    (r"e^{x+1}", r"e\cdot e^x"),
    (r"\frac{n(n+1)}{2}", r"\binom{n+1}{2}"),
    (r"\frac{(n+1)!}{n!}", "n+1"),
    ("(-1)^{n+2}", "(-1)^n"),
    (r"\alpha+\beta", "β + α"),
    ("a_1+a_2", "a_2 + a_{1}"),
    ("x=5", "5"),
    ("5", "x = 5"),
    ("5=x", "x=5"),
    ("f(x)=2x+1", "2x+1"),
    ("y=2x+3", "2x - y + 3 = 0"),
    ("y = 2x+3", "2y = 4x+6"),
    ("x^2+y^2=4", "4 = y^2+x^2"),
    ("1+2+3=6", "6"),
    (r"x = \frac{10}{2} = 5", "5"),
    (r"\sqrt2 \approx 1.414", r"\sqrt{2}"),
    ("Area = 12", "12"),
    ("(1,2)", "(1, 2)"),
    (r"\left(\frac12, 2\right)", "(0.5,2)"),
    ("(1,234)", "(1, 234)"),
    ("1,2", "(1,2)"),
    ("x=1, y=2", "(1,2)"),
    ("2, 1", "1,2"),
    ("1 and 2", "1, 2"),
    (r"1 \text{ or } 2", "2,1"),
    (r"\{1,2,3\}", r"\{3,1,2\}"),
    ("{1,2}", r"\{1, 2\}"),
    ("1,2", r"\{2,1\}"),
    ("x=1 or x=2", "1, 2"),
    (r"\pm 2", "2, -2"),
    (r"x=\pm\sqrt2", r"\sqrt{2}, -\sqrt{2}"),
    (r"\frac{1\pm\sqrt5}{2}", r"\frac{1+\sqrt{5}}{2}, \frac{1-\sqrt{5}}{2}"),
    (r"1\pm i", r"1\mp i"),
    (r"\emptyset", r"\{\}"),
    ("(1,2]", r"\left( 1, 2 \right]"),
    (r"(-\infty, 1)\cup(2,\infty)", r"(2,\infty) \cup (-\infty,1)"),
    (r"(-inf,1) U (2,inf)", r"(-\infty, 1)\cup (2, \infty)"),
    ("1<x<2", "(1,2)"),
    (r"x \ge 3", r"[3,\infty)"),
    ("3 <= x", r"x \geq 3"),
    ("x<1 or x>2", r"(-\infty,1)\cup(2,\infty)"),
    (r"x \in (1,2)", "(1,2)"),
    (r"\mathbb{R}", r"(-\infty,\infty)"),
    ("2x+2y<6", "x+y<3"),
    (r"\infty", "infinity"),
    (r"-\infty", "−∞"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}"),
    (r"\begin{pmatrix} 1/2 \\ 3 \end{pmatrix}", r"\begin{pmatrix} 0.5 \\ 3 \end{pmatrix}"),
    (r"\begin{pmatrix} 1 \\ 3 \end{pmatrix}", "(1,3)"),
    (r"\langle 1,2\rangle", "(1,2)"),
    ("3:4", "6:8"),
    ("2516_8", "2516_{8}"),
    ("2516", "2516_8"),
    ("50%", "0.5"),
    ("50", r"50\%"),
    (r"33\frac13\%", "1/3"),
    ("C", r"\text{(C)}"),
    ("(C)", "C"),
    ("friday", r"\text{Friday}"),
    ("No solution", r"\text{no solution}"),
    (r"\text{Evelyn}", "Evelyn"),
    ("yes", "Yes"),
    (r"\frac13", "0.33"),
    (r"\pi", "3.14"),
    ("3.14159", "3.14"),
    ("0.30000000000000004", "0.3"),
    ("0.3", "0.30000000000000004"),
    ("1.4142135624", r"\sqrt{2}"),
    ("2^{1000}", "2^{999}+2^{999}"),
    ("1" + "0" * 150, "10^{150}"),
    (r"\text{June 20}", "June 20"),
    ("f^{-1}(x) = x+1", "x+1"),
    (r"\approx 3.14", "3.14"),
    ("= 42", "42"),
    (r"5\,\mathrm{m}", "5"),
    (r"\max\{1,2\}", "2"),
    (r"\lg 100", "2"),
    (r"\frac{\ln 2}{\ln 3}", r"\log_3 2"),
    (r"x\le -2 \text{ or } x\ge 3", r"(-\infty,-2]\cup[3,\infty)"),
    (r"\angle ABC = 30^\circ", "30"),
    (r"(1,2) \text{ and } (3,4)", "(3,4),(1,2)"),
    (r"0.\overline{36}", "4/11"),
    (r"\sec^2 x", r"1+\tan^2 x"),
    ("x²+1", "x^2+1"),
    ("10⁻²", "0.01"),
]

UNEQUAL = [
    ("41", "42"),
    ("", "42"),
    ("42", ""),
    ("-42", "42"),
    ("420", "42"),
    ("4.2", "42"),
    ("42 43", "42"),
    ("41 or 42", "42"),
    ("41, 42", "42"),
    ("42, 42", "42"),
    (r"\pm 42", "42"),
    ("x=41, x=42", "42"),
    ("41 = 42", "42"),
    ("42 = 41", "42"),
    ("x = 41 = 42", "42"),
    ("x > 42", "42"),
    ("x \\ne 42", "42"),
    ("not 42", "42"),
    ("42x", "42"),
    ("42 + x", "42"),
    ("42+10^{20}\\sqrt2-10^{20}\\sqrt2-42", "42"),
    ("41+10^{20}\\sqrt2-10^{20}\\sqrt2", "0"),
    ("4 2", "42"),
    (r"4\,2", "42"),
    ("42 & 43", "42"),
    ("42 (43)", "42"),
    (r"\{42, 43\}", "42"),
    (r"43 \approx 42", "42"),
    (r"42 \pm 1", "42"),
    ("[0,100]", "42"),
    (r"\infty-\infty", "0"),
    ("0/0", "0"),
    ("June 20", "June 21"),
    ("42.0001", "42"),
    ("0.333", "1/3"),
    ("0.33333", r"\frac13"),
    ("1.414", r"\sqrt{2}"),
    ("3.14", r"\pi"),
    ("22/7", r"\pi"),
    ("0.52", "0.5"),
    (r"\frac{13}{25}", "0.5"),
    ("0.3", "0.33"),
    ("3", "3.14"),
    ("0.2468", "0.25"),
    ("1234567890.12", "1234567890.13"),
    ("1" + "0" * 150, "1" + "0" * 149 + "1"),
    ("1,234", "1.234"),
    ("12", "1,2"),
    ("1/2", "2"),
    (r"\frac{2}{1}", r"\frac12"),
    (r"3\frac12", r"\frac{3}{2}"),
    (r"\sqrt{2}", "2"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"),
    (r"2\pi", "2"),
    ("pi", "3"),
    ("e^{-30}", "e^{-31}"),
    ("0", "10^{-20}"),
    ("x", "y"),
    ("x+1", "x-1"),
    ("x^2", "x^3"),
    ("(x+y)^2", "x^2+y^2"),
    (r"\sqrt{x^2}", "x"),
    ("x", "|x|"),
    (r"\sin x", r"\cos x"),
    (r"\sin(2x)", r"2\sin(x)"),
    (r"\ln(x+y)", r"\ln x + \ln y"),
    ("R", "r"),
    ("x=5", "x=6"),
    ("x=5", "y=5"),
    ("y=2x+3", "y=2x-3"),
    ("x^2=4", "x=2"),
    ("x^2+y^2=1", "1"),
    ("0=0", "x=1"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("(1,2)", "(1,2]"),
    ("(1,2)", "(1,2,3)"),
    (r"\{1,2\}", r"\{1,3\}"),
    (r"\{1,2\}", r"\{1,2,3\}"),
    ("x=1, y=2", "x=2, y=1"),
    ("1,1,2", "1,2,2"),
    (r"\pm 2", "2"),
    (r"(-\infty,1)\cup(2,\infty)", r"(-\infty,1)\cup[2,\infty)"),
    (r"(-\infty,\infty)", "42"),
    (r"\infty", r"-\infty"),
    (r"\infty", "42"),
    ("x<3", "x>3"),
    ("x<3", r"x\le 3"),
    ("x+y<3", "x+y>3"),
    ("1<x<2", "1<y<2"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&3\\2&4\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    ("3:4", "4:3"),
    ("2516_8", "2516_7"),
    ("1358", "2516_8"),
    ("50%", "5"),
    (r"\frac{1}{0}", r"\frac{2}{0}"),
    ("A", "B"),
    ("BAC", "ABC"),
    ("east", "seat"),
    ("yes", "no"),
    (r"\text{even}", r"\text{odd}"),
    ("Monday or Tuesday", "Monday"),
    ("3 am", "3 pm"),
    ("5 cm", r"5\text{ m}"),
    ("④②", "42"),
    (r"1e300\overline{3}", "42"),
    (r"0.\overline{④}", "42"),
    (r"42\text{ is wrong, it is }41", "42"),
    ("__import__('os')", "42"),
]


def ids(pairs):
    return [
        f"{prediction[:30]}~{gold[:30]}".encode("ascii", "backslashreplace").decode()
        for prediction, gold in pairs
    ]


@pytest.mark.parametrize(("prediction", "gold"), EQUAL, ids=ids(EQUAL))
def test_an_equal_answer_is_accepted(prediction, gold):
    assert equal(prediction, gold)


@pytest.mark.parametrize(("prediction", "gold"), UNEQUAL, ids=ids(UNEQUAL))
def test_an_unequal_answer_is_refused(prediction, gold):
    assert not equal(prediction, gold)


BOMBS = {
    "M12-factorial": "(10^8)!",
    "M13-binomial": r"\binom{10^9}{5\cdot 10^8}",
    "M15-parentheses": "(" * 5_000 + "42" + ")" * 5_000,
    "M15-within-bounds": "(" * 900 + "42" + ")" * 900,
    "M16-fractions": r"\frac{" * 400 + "42" + "}{1}" * 400,
    "M16-within-bounds": r"\frac{" * 150 + "42" + "}{1}" * 150,
    "M17-digits": "9" * 1_000_000,
    "M17-more-digits-than-allowed": "9" * 1_500,
    "tower": "9**9**9**9",
    "tower-of-sixty": "^".join(["9"] * 60),
    "factorials": "3" + "!" * 40,
    "nested-factorial": "((9!)!)!",
    "exponent": "1e10000000",
    "exponent-within-digits": "1e999",
    "roots": r"\sqrt" * 400 + "{42}",
    "signs": "-" * 1_999 + "42",
    "bars": "|" * 1_500,
    "braces": "{" * 2_000,
    "long-sum": "+".join(["x"] * 900),
    "many-powers": "+".join(f"x^{{{power}}}" for power in range(100, 280)),
    "long-list": ",".join(["\\sqrt{x+1}"] * 120),
    "text-commands": r"\text{" * 300,
    "lcm": r"\operatorname{lcm}(" + ",".join(str(10**6 + n) for n in range(150)) + ")",
    "spaces": " " * 1_000_000 + "4",
    "dollars": "$" * 1_000_000,
    "long-logarithms": r"2^{10000}" + r"\frac12\ln 4" * 60,
    "many-exponentials": r"e^{50}\cdot " * 150 + "1",
    "halves": "½" * 1_900,
    "factorials-in-a-row": "9!" * 900,
    "nested-sums": r"\sum_{k=1}^{400} " * 20 + "k",
    "large-series": r"\sum_{k=1}^{400} k^{400}",
    "matrix-powers": r"{" * 20 + r"\begin{pmatrix}1&2\\3&4\end{pmatrix}" + r"^3}" * 20,
    "matrices": r"\begin{pmatrix}1&2\\3&4\end{pmatrix}" * 50,
    "determinant": r"\det\begin{pmatrix}" + r"\\".join(["1&2&3&4&5&6&7&8"] * 8) + r"\end{pmatrix}",
    "unions": r"\cup".join(f"[{n},{n}.5]" for n in range(150)),
    "set-differences": r"\mathbb{R}\setminus\{" + ",".join(str(n) for n in range(400)) + r"\}",
    "logic": r"\land ".join(f"p_{n}" for n in range(40)),
    "signs-in-a-set": r"\{" + r",".join([r"\pm 1\pm x"] * 100) + r"\}",
    "units": "5" + " m s" * 400,
    "nested-text": r"\text{a" * 200 + "}" * 200,
    "underflow": "e^{-10^9}",
    "small-powers": "10^{-99999}",
    "blanks": "4" + r"\;" * 900 + "3",
    "brackets-of-intervals": "]" * 900 + "1,2" + "[" * 900,
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_on_either_side(bomb):
    assert not equal(bomb, "42")
    assert not equal("42", bomb)
    assert grade(rf"\boxed{{{bomb}}}", "42").score == 0.0


def test_two_lists_that_cost_too_much_are_refused():
    terms = [rf"\sqrt{{x+{n}}}" for n in range(60)]
    assert not equal(",".join(terms), ",".join(reversed(terms)) + "1")


REDTEAM = {
    "M04-comma-list": (r"\boxed{" + ",".join(str(n) for n in range(20, 50)) + "}", 0.0),
    "M05-alternatives": (r"\boxed{41 or 42}", 0.0),
    "M09-equations": (r"\boxed{x=41, x=42}", 0.0),
    "M07-right-then-wrong": (r"\boxed{42} no wait, \boxed{41}", 0.0),
    "M07-wrong-then-right": (r"\boxed{41} no wait, \boxed{42}", 1.0),
    "M08-whole-line": (r"\boxed{(-\infty,\infty)}", 0.0),
    "M18-full-width": (r"\boxed{４２}", 1.0),
    "M19-arabic-indic": (r"\boxed{٤٢}", 1.0),
    "M20-percent": (r"\boxed{42\%}", 1.0),
    "M34-only-in-reasoning": (r"<think>\boxed{42}</think> I do not know", 0.0),
    "N20-bold-digits": (r"\boxed{𝟒𝟐}", 1.0),
    "empty-box": (r"\boxed{}", 0.0),
    "unclosed-box": (r"\boxed{42", 0.0),
    "no-text": ("", 0.0),
    "number-list-without-box": ("40 41 42", 0.0),
    "Q10-words-in-text": (r"\boxed{42\text{ is wrong}}", 0.0),
    "Q10-alternatives-in-text": (r"\boxed{42\text{ or 6 or 7}}", 0.0),
    "I06-two-markers": ("Answer: 42. No, Answer: 7", 0.0),
}


@pytest.mark.parametrize(("text", "score"), REDTEAM.values(), ids=REDTEAM.keys())
def test_a_known_hack_gets_its_verdict_for_gold_42(text, score):
    assert grade(text, "42").score == score


def test_m25_an_unevaluated_sum_equals_only_its_own_spelling():
    assert not equal(r"\sum_{k=1}^{100} k", "5050")
    assert equal(r"\sum_{k=1}^{100} k", r"$\sum_{k=1}^{100} k$")


def test_m35_grading_works_from_worker_threads():
    scores: list[float] = []
    threads = [
        threading.Thread(target=lambda: scores.append(grade(r"\boxed{x^2+2x+1}", "(x+1)^2").score))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scores == [1.0] * 8


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{\frac{1}{2}} it is", r"\frac{1}{2}"),
        (r"<think>\boxed{1}</think>\boxed{2}", "2"),
        ("Work.\nFinal answer: 42", "42"),
        ("**Final Answer:** $x = 5$.", "$x = 5$"),
        ("The answer is 18 dollars.", "18 dollars"),
        ("The answer is **7**.", "7"),
        ("So it is Monday.\nAnswer: 12\nI hope it helps.", "12"),
        ("She makes 9 * 2 = $18 every single day.", "18"),
        ("Hence the result must be $\\frac{3}{4}$ in the end.", "\\frac{3}{4}"),
        ("She has 12 apples left over today.", "12"),
        ("3 apples cost 6 dollars in that shop.", None),
        ("I do not know it at all, sorry.", None),
        ("42", "42"),
        ("#### 18", "18"),
        ("", None),
    ],
)
def test_the_final_answer_is_extracted(text, answer):
    assert extract(text) == answer


@pytest.mark.parametrize(
    "text", ["answer is " * 100_000, "\\boxed{" * 100_000, "<think>" * 100_000, "$1" * 500_000]
)
def test_hostile_text_of_a_megabyte_is_refused(text):
    assert grade(text, "42").score == 0.0


@st.composite
def arithmetic(draw, depth=4):
    """An expression with its exact value."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        number = draw(st.integers(0, 99))
        return str(number), Fraction(number)
    left, a = draw(arithmetic(depth=depth - 1))
    right, b = draw(arithmetic(depth=depth - 1))
    operator = draw(st.sampled_from("+-*/^"))
    match operator:
        case "+":
            return f"({left} + {right})", a + b
        case "-":
            return f"({left} - {right})", a - b
        case "*":
            return draw(
                st.sampled_from([f"({left} * {right})", rf"({left}) \cdot ({right})", f"({left})({right})"])
            ), a * b
        case "/" if b:
            return draw(st.sampled_from([f"(({left}) / ({right}))", rf"\frac{{{left}}}{{{right}}}"])), a / b
        case _:
            return f"({left})^{{2}}", a**2


@settings(max_examples=80, deadline=None)
@given(arithmetic())
def test_arithmetic_agrees_with_fractions(made):
    text, value = made
    assert equal(text, str(value))
    assert not equal(text, str(value + 1))


FORMULA = st.recursive(
    st.sampled_from(["1", "2", "7", "x", "y", r"\pi", "n"]),
    lambda part: st.builds(
        str.format,
        st.sampled_from(
            ["({0}+{1})", "({0}-{1})", r"\frac{{{0}}}{{{1}}}", "{0}({1})", r"\sqrt{{{0}^2+{1}}}"]
        ),
        part,
        part,
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(FORMULA, FORMULA)
def test_equality_of_exact_formulas_is_reflexive_and_symmetric(left, right):
    assert read(left)
    assert equal(left, left)
    assert equal(left, right) == equal(right, left)


@settings(max_examples=60, deadline=None)
@given(FORMULA)
def test_adding_one_to_a_formula_changes_it(formula):
    assert not equal(f"{formula} + 1", formula)


COMMANDS = [
    rf"\{name}" for name in ("frac", "sqrt", "left(", "right)", "text{", "pm", "infty", "cup", "sin", "log")
]
COMMANDS += [rf"\{name}" for name in ("circ", "binom", "boxed{", "overline{3}", "mathbb{R}", "{", "}", "\\")]
COMMANDS += [
    rf"\{name}"
    for name in (
        "over",
        "choose",
        "land",
        "lnot",
        "setminus",
        "mid",
        "sum_{k=1}^{9}",
        "det",
        "bar",
        "mathrm{",
        "$",
    )
]
COMMANDS += [
    " million ",
    " hours ",
    "m/s",
    " where ",
    " am",
    "e99",
    "^{999}",
    r"\begin{cases}",
    "1,234",
    "∪",
    "²",
    "٣",
]
COMMANDS += [r"\begin{pmatrix}", r"\end{pmatrix}", " or ", " and ", "cm", "23"]
PIECES = st.sampled_from([*COMMANDS, *"{}()[]|^_&!%,;:=<+-*/.$1xei½² "])


@settings(max_examples=120, deadline=None)
@given(
    st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=25).map("".join)),
    st.sampled_from(["42", "x^2", "(1,2)", "x<3", r"5\text{ m}", "3:15 pm", r"\{x\mid x>2\}", r"p\land q"]),
)
def test_no_text_makes_grading_raise(text, gold):
    assert equal(text, gold) in (True, False)
    assert equal(gold, text) in (True, False)
    assert grade(text, gold).score in (0.0, 1.0)
    assert equal(text, text) in (True, False)


def test_verdicts_do_not_touch_the_process_wide_random_state():
    random.seed(3)
    before = random.getstate()
    equal("(x+1)^2", "x^2+2x+1")
    assert random.getstate() == before


@pytest.mark.parametrize("degree", range(2, 12))
def test_a_polynomial_equals_its_expansion(degree):
    expansion = "+".join(f"{math.comb(degree, k)}x^{{{k}}}y^{{{degree - k}}}" for k in range(degree + 1))
    assert equal(f"(x+y)^{{{degree}}}", expansion)
    assert not equal(f"(x+y)^{{{degree}}}", expansion + "+xy")


JOINTS = [
    " or ",
    r"\text{ or }",
    r"\text{ or maybe }",
    ", ",
    "; ",
    r"\text{, }",
    r"\lor ",
    r"\text{ and }",
    r"\;",
    "/",
]
JOINTS += [
    r"\text{ not }",
    r"\text{ (or) }",
    r"\text{ to }",
    r"\text{ but could be }",
    r"\mathrm{ or }",
    r"\\",
    r"\cup",
]
VALUES = st.sampled_from(
    ["5", "6", "17", r"\frac12", r"\sqrt2", "x+1", "(1,2)", r"2\pi", r"5\text{ cm}", "-3", r"\infty"]
)


@settings(max_examples=150, deadline=None)
@given(VALUES, VALUES, st.sampled_from(JOINTS), st.booleans())
def test_a_second_candidate_never_pays(gold, other, joint, first):
    assume(gold != other)
    answer = f"{gold}{joint}{other}" if first else f"{other}{joint}{gold}"
    assert not equal(answer, gold)


NEVER_PAY = ["{} wrong", "not {}", r"\text{{not }}{}", r"{}\text{{ (incorrect)}}", r"\neq {}", r"\lnot {}"]
NEVER_PAY += [
    r"{}\text{{ is false}}",
    r"\text{{anything but }}{}",
    r"{}\text{{ unless }}n=1",
    r"\cancel{{{}}}",
]


@settings(max_examples=80, deadline=None)
@given(VALUES, st.sampled_from(NEVER_PAY))
def test_a_denied_answer_never_pays(gold, denial):
    assert not equal(denial.format(gold), gold)
