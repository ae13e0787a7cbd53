"""Letters of options, with and without what they stand for."""

from nemo_gym.verifiers.math import equal

EQUAL = [  # prediction, gold
    ("D", r"\text{(D)}"),
    ("(D)", "D"),
    (r"\textbf{(D)}", "D"),
    (r"\text{D.}", "D"),
    ("D)", "D"),
    ("(D) 5", "D"),
    ("(D) 5", "5"),
    (r"\textbf{(D) } 5", "5"),
    (r"\textbf{(D)}\ 5", "5"),
    (r"\text{D) } 5", "5"),
    ("5", r"\textbf{(D)}\ 5"),
    ("D", r"\textbf{(D)}\ 5"),
    (r"\textbf{(D)}\ 5", r"\textbf{(D)}\ 5"),
    (r"\text{Option D}", "D"),
]

UNEQUAL = [  # prediction, gold
    ("C", "D"),
    ("C, D", "D"),
    (r"C \text{ or } D", "D"),
    (r"\text{not D}", "D"),
    ("(D) 6", "5"),
    (r"\textbf{(C)}\ 5", r"\textbf{(D)}\ 5"),
    (r"\textbf{(D)}\ 6", r"\textbf{(D)}\ 5"),
    ("(D) 5, (E) 6", "5"),
    ("E", r"\textbf{(D)}\ 5"),
    ("5", "5D"),
    ("(A)(B)(C)(D)", "D"),
    (r"(D) \text{ is wrong}", "D"),
    (r"(D) \text{ or } (E)", "D"),
    ("(D), (E)", "D"),
    (r"\text{D or E}", "D"),
    (r"\text{D?}", "D"),
    (r"\text{not (D)}", "D"),
    (r"(D)\ (E)", "D"),
    ("D/E", "D"),
    ("DE", "D"),
    ("D+E", "D"),
    (r"\text{all of the above}", "D"),
    (r"\text{anything but (D)}", "D"),
    (r"(D)\text{ maybe}", "D"),
    (r"\text{(D) unless (E)}", "D"),
    (r"(C)\ D", "D"),
    (r"(D)\ 5\text{ or }6", "5"),
    (r"(D)\ \text{not }5", "5"),
    (r"\text{(D)}\ \ne 5", "5"),
    ("A", "C"),
    ("B + C", "C"),
    ("(A) 6", "5"),
    ("A. 4 B. 5", "5"),
    ("B", "A"),
    ("A.B", "A"),
    ("A B", "A"),
    ("A: no", "A"),
    ("(A) incorrect", "A"),
    ("A, not B", "A"),
    (r"(A) 5 \text{ or } (B) 6", "A"),
    (r"\text{A and B}", "A"),
    ("A) x^3", "x^2"),
    (r"\frac{dy}{dx} = x^2 + 1", "x^2"),
    (r"\frac{dy}{dx} \ne x^2", "x^2"),
    ("x 2^2", "x^2"),
]


def test_equal_answers_are_accepted():
    assert [pair for pair in EQUAL if not equal(*pair)] == []


def test_unequal_answers_are_refused():
    assert [pair for pair in UNEQUAL if equal(*pair)] == []
