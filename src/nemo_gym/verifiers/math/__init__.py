r"""Whether a final answer in LaTeX or plain notation equals the expected one.

    grade(r"... so the area is \boxed{\frac{9\pi}{2}}.", "4.5\\pi").score  # 1.0

Nothing in an answer is executed. Text, depth, digits and work are bounded; what exceeds a bound equals
only its own spelling, at once.

What counts as equal
- Numbers: exact value, so 1/2, 0.5, \frac12 and 2^{-1} agree. Irrational values agree to a hundred digits,
  and to one more for each digit of their largest term: e^{100} + 1 is not e^{100}.
- Formulas: identity at fixed points, over the reals where both are defined, else over the complex numbers.
  `f(...)` and `O(...)` are unknown functions of their arguments.
- Decimals: 0.333 isn't 1/3. A decimal *gold* answer that shows two decimals or three digits is taken as
  rounded, and an exact prediction that rounds to it is right; a longer decimal is right for it only if it
  shows two decimals and three digits. A predicted decimal of ten digits or more is right for any gold
  answer that rounds to it. `3,14` is right for 3.14.
- `42\%` is right for 42 (the sign is a unit) and for 0.42 (its value), but of values below one only the
  value counts; `90^\circ` is right for 90 and \pi/2.
- Digits of any script mean their value: full-width and Arabic-Indic 42 are 42; circled digits are not.
- Finite sums and products over an index are evaluated in a gold answer only; a prediction must evaluate its
  own. Infinite sums, integrals and limits equal only their own spelling. Arithmetic, powers, roots,
  logarithms, factorials, binomials, determinants and small matrix products are evaluated.
- Units, currencies and nouns of counted things may be missing on either side. Where both sides have one
  they must agree: 5 m is 500 cm, never 5 cm, and 10 apples are not 10 pears. Scale words are part of the
  value: 5 million is not 5. Words that are no unit and no plural noun make an answer unreadable, so that
  "5 or 6", "5 (incorrect)" or "5 maybe" never pass for 5.
- Times of day compare on the clock, ratios by their quotients: 3:4 is 6:8, but 12:00 is not 1:00.
- A bare list, `\pm` and a set are unordered; (1, 2) is ordered and [1, 2] is not (1, 2). A list is
  never equal to one number, and an answer with alternatives ("41 or 42") is a list. In sets repetition
  doesn't count. Named values (`x = 1, y = 2`, `(x, y) = (1, 2)`) compare by name, and with a tuple in the
  order of the names.
- `(D) 5` is right for 5, for D and for (D) 5; where both sides have a letter and a text, both must agree.
- `0.1666...` with a period shown twice (a single digit three times) recurs: it is 1/6. Other dots are
  no answer.
- Residues compare modulo: x = 12 (mod 7) is x = 5 (mod 7). `5` is right for 5 (mod 7), but a class of numbers
  is never one number: 5 (mod 7) is not right for 5.
- `x = 5` is right for 5, and so is `a + b = 5`; other equations compare up to swapping and scaling the
  sides.
- Intervals, inequalities in one variable, set builders, unions, intersections, differences and `x \ne 1`
  compare as sets of real numbers: [0, 1] \cup (1, 2] is [0, 2]. Propositions compare by truth table.
- Notes on where an answer holds may be missing from a prediction. A prediction may add notes that leave out
  single numbers, bind a whole-number parameter, or repeat where the formula is defined: x^2 is right for
  `x^2, x > 0` and `x + 1, x \ne 1` for x + 1, but `x, x > 0` is not right for x.
- Definitions by cases compare case by case; one of them may say `otherwise`.
- `ln` and `log` without a base are the natural logarithm and `lg` has base 10. `3\frac12` is a mixed
  number. `1,234` is one number or two items, whichever fits. The base of 101_2 may be left out on one side.
- Words are compared without case and punctuation. `DNE` is "does not exist", "no solution" the empty set,
  and whole numbers up to twenty may be spelled out.
- A question mark makes any answer a guess: `5?` is not right for 5. Nouns that may be part of the value, such
  as quarters, and B and M, which may be short for a billion or a million, add nothing to an
  answer without them.

Where the answer is found
- The last box outside reasoning, with the signs, powers, units and scale words that it is joined to:
  `-\boxed{5}` is -5 and `\boxed{5}` million is 5 million. Boxes in a row, behind like labels (`(a)`, `Case
  1:`) or for different conditions are one list; after other words the last box replaces those before it.
- A box, or the answer behind a marker, that the words around it deny, doubt or take back is no answer:
  "I don't think it is", "maybe", "41 or", "is wrong", "Wait, that is wrong".
"""

from nemo_gym.verifiers.math.extract import extract
from nemo_gym.verifiers.math.grading import MathGrade, equal, grade

__all__ = ["MathGrade", "equal", "extract", "grade"]
