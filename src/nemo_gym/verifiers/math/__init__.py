r"""Whether a final answer in LaTeX or plain notation equals the expected one.

    grade(r"... so the area is \boxed{\frac{9\pi}{2}}.", "4.5\\pi").score  # 1.0

Nothing in an answer is executed. Text, depth, digits and work are bounded; what exceeds a bound equals
only its own spelling, at once.

What counts as equal
- Numbers: exact value, so 1/2, 0.5, \frac12 and 2^{-1} agree. Irrational values agree to nine digits.
- Formulas: identity at fixed points, over the reals where both are defined, else over the complex numbers.
- Decimals: 0.333 isn't 1/3. A decimal *gold* answer that shows two decimals or three digits is taken as
  rounded, and an exact prediction that rounds to it is right; a longer decimal is right for it only if it
  shows two decimals and three digits. A predicted decimal of ten digits or more is right for any gold
  answer that rounds to it.
- `42\%` is right for 42 (the sign is a unit) and for 0.42 (its value); so is `90^\circ` for 90 and \pi/2.
- Digits of any script mean their value: full-width and Arabic-Indic 42 are 42; circled digits are not.
- Unevaluated sums, products over an index, integrals and limits aren't evaluated: they equal only
  their own spelling. Arithmetic, powers, roots, logarithms, factorials and binomials are.
- Units and currency signs are dropped; two known units that differ make the answers differ.
- A bare list, `\pm` and a set are unordered; (1, 2) is ordered and [1, 2] is not (1, 2). A list is
  never equal to one number, and an answer with alternatives ("41 or 42") is a list.
- `x = 5` is right for 5; other equations compare up to swapping and scaling the sides. Inequalities
  in one variable are intervals.
- `ln` and `log` without a base are the natural logarithm and `lg` has base 10. `3\frac12` is a mixed
  number. `1,234` is one number or two items, whichever fits. The base of 101_2 may be left out on one side.
- Words are compared without case and punctuation.
"""

from nemo_gym.verifiers.math.extract import extract
from nemo_gym.verifiers.math.grading import MathGrade, equal, grade

__all__ = ["MathGrade", "equal", "extract", "grade"]
