"""The bugs and the tests of the matrices."""

from __future__ import annotations

import random
from typing import Final

from nemo_gym.environments.repository_tests import CallTest
from nemo_gym.library.coding.swe_mini.catalogue import Bug, Kind, Module, Recorder
from nemo_gym.library.coding.swe_mini.repositories import matrices
from nemo_gym.library.coding.swe_mini.repositories.matrices import basics, grids, products, walks


def numbers(rng: random.Random, rows: int, columns: int) -> list[list[int]]:
    """A matrix of different numbers."""
    values = rng.sample(range(1, 99), rows * columns)
    return [values[row * columns : (row + 1) * columns] for row in range(rows)]


def ragged(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(basics.shape, [*numbers(rng, 2, 3), [rng.randint(1, 9)]])


def wide_shape(rng: random.Random, recorder: Recorder) -> CallTest:
    rows = rng.randint(2, 4)
    return recorder.check(basics.shape, numbers(rng, rows, rows + rng.randint(1, 2)))


def wide_transpose(rng: random.Random, recorder: Recorder) -> CallTest:
    rows = rng.randint(2, 3)
    return recorder.check(basics.transpose, numbers(rng, rows, rows + rng.randint(1, 2)))


def square_transpose(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(basics.transpose, numbers(rng, 3, 3))


def some_sum(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(basics.add_matrices, numbers(rng, 2, 3), numbers(rng, 2, 3))


def sum_of_other_shape(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(basics.add_matrices, numbers(rng, 2, 3), numbers(rng, 3, 2))


def scaled(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(basics.scale, numbers(rng, 2, 3), rng.randint(2, 9))


def scaled_stays(rng: random.Random, recorder: Recorder) -> CallTest:
    matrix = recorder.new("matrix", list[list[int]], numbers(rng, 2, 2))
    recorder.do(basics.scale, matrix, rng.randint(2, 9))
    return recorder.check(list, matrix)


def some_product(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(products.multiply, numbers(rng, 2, 3), numbers(rng, 3, 2))


def square_product(rng: random.Random, recorder: Recorder) -> CallTest:
    upper = [[1, rng.randint(2, 9)], [0, 1]]
    return recorder.check(products.multiply, upper, [[rng.randint(10, 19), 2], [rng.randint(20, 29), 5]])


def misfit_product(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(products.multiply, numbers(rng, 2, 3), numbers(rng, 2, 3))


def unit(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(products.identity, rng.randint(2, 7))


def even_power(rng: random.Random, recorder: Recorder) -> CallTest:
    matrix = [[1, rng.randint(1, 9)], [rng.randint(1, 9), 0]]
    return recorder.check(products.power, matrix, rng.choice((2, 4, 6)))


def odd_power(rng: random.Random, recorder: Recorder) -> CallTest:
    matrix = [[rng.randint(2, 9), 1], [1, rng.randint(1, 9)]]
    return recorder.check(products.power, matrix, rng.choice((3, 5, 7)))


def no_power(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(products.power, numbers(rng, 3, 3), 0)


def long_spiral(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(walks.spiral, numbers(rng, rng.randint(3, 4), rng.randint(3, 5)))


def some_diagonals(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(walks.diagonals, numbers(rng, rng.randint(2, 3), 4))


def inner_neighbours(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(walks.neighbours, numbers(rng, 4, 4), rng.randint(1, 2), rng.randint(1, 2))


def corner_neighbours(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(walks.neighbours, numbers(rng, rng.randint(2, 4), rng.randint(2, 4)), 0, 0)


def last_neighbours(rng: random.Random, recorder: Recorder) -> CallTest:
    rows, columns = rng.randint(2, 3), rng.randint(4, 5)
    return recorder.check(walks.neighbours, numbers(rng, rows, columns), rows - 1, columns - 1)


def cheap_below(rng: random.Random, recorder: Recorder) -> CallTest:
    costs = [[1, 90, 90], [rng.randint(2, 9), 90, 90], [rng.randint(2, 9), rng.randint(2, 9), 1]]
    return recorder.check(grids.cheapest_path, costs)


def cheap_right(rng: random.Random, recorder: Recorder) -> CallTest:
    costs = [[1, rng.randint(2, 9), rng.randint(2, 9)], [90, 90, rng.randint(2, 9)], [90, 90, 1]]
    return recorder.check(grids.cheapest_path, costs)


def one_peak(rng: random.Random, recorder: Recorder) -> CallTest:
    matrix = numbers(rng, 3, 4)
    matrix[rng.randint(0, 2)][rng.randint(0, 3)] = 100
    return recorder.check(grids.peaks, matrix)


def no_peak(rng: random.Random, recorder: Recorder) -> CallTest:
    value = rng.randint(1, 99)
    return recorder.check(grids.peaks, [[value] * 3, [value] * 3])


def maxima(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(grids.row_maxima, numbers(rng, 3, 4))


def negative_maxima(rng: random.Random, recorder: Recorder) -> CallTest:
    return recorder.check(grids.row_maxima, [[-value for value in row] for row in numbers(rng, 2, 3)])


KIND: Final = Kind(
    matrices,
    ("matrices", "linear", "arrays", "tableaux"),
    (
        Module(
            basics,
            (wide_shape, wide_transpose, some_sum, scaled),
            (
                Bug(
                    "if any(len(row) != columns",
                    "if all(len(row) != columns",
                    "A matrix whose rows differ in length is accepted.",
                    "shape",
                    ragged,
                ),
                Bug(
                    "return len(matrix), columns",
                    "return columns, len(matrix)",
                    "The number of rows and the number of columns are exchanged.",
                    "shape",
                    wide_shape,
                ),
                Bug(
                    "matrix[row][column] for row in range(rows)]",
                    "matrix[rows - 1 - row][column] for row in range(rows)]",
                    "A transposed matrix is mirrored.",
                    "transpose",
                    square_transpose,
                ),
                Bug(
                    "if shape(one) != shape(other):",
                    "if len(one) + len(one[0]) != len(other) + len(other[0]):",
                    "Matrices of different shapes can be added.",
                    "add_matrices",
                    sum_of_other_shape,
                ),
                Bug(
                    "[a + b for a, b",
                    "[a - b for a, b",
                    "The sum of two matrices is their difference.",
                    "add_matrices",
                    some_sum,
                ),
                Bug(
                    "factor * value for",
                    "factor + value for",
                    "A multiplied matrix has wrong numbers.",
                    "scale",
                    scaled,
                ),
                Bug(
                    "return [[factor * value for value in row] for row in matrix]",
                    "for row in matrix:\n        row[:] = [factor * each for each in row]\n    return matrix",
                    "Multiplying a matrix by a number changes the matrix of the caller.",
                    "scale",
                    scaled_stays,
                ),
            ),
        ),
        Module(
            products,
            (some_product, unit, even_power, odd_power),
            (
                Bug(
                    "columns = transpose(other)",
                    "columns = other",
                    "The product of two matrices has wrong numbers.",
                    "multiply",
                    square_product,
                ),
                Bug(
                    "shape(one)[1] != shape(other)[0]",
                    "shape(one)[1] != shape(other)[1]",
                    "A product of matrices that fit is refused.",
                    "multiply",
                    some_product,
                ),
                Bug(
                    "shape(one)[1] != shape(other)[0]",
                    "shape(one)[0] != shape(other)[0] and shape(one)[1] != shape(other)[0]",
                    "A product of matrices that do not fit is not refused.",
                    "multiply",
                    misfit_product,
                ),
                Bug(
                    "1 if row == column else 0",
                    "1 if row >= column else 0",
                    "Powers of matrices are wrong because they begin with a wrong matrix.",
                    "identity",
                    unit,
                ),
                Bug(
                    "result = identity(len(matrix))",
                    "result = matrix",
                    "A power of a matrix has a factor too many.",
                    "power",
                    even_power,
                ),
                Bug(
                    "matrix = multiply(matrix, matrix)",
                    "matrix = multiply(result, matrix)",
                    "Squares and other even powers of a matrix are wrong.",
                    "power",
                    even_power,
                ),
                Bug(
                    "if exponent % 2 == 1:",
                    "if exponent == 1:",
                    "Odd powers of a matrix are wrong.",
                    "power",
                    odd_power,
                ),
                Bug(
                    "while exponent > 0:",
                    "while exponent >= 2:",
                    "Every power of a matrix lacks its last factors.",
                    "power",
                    even_power,
                ),
            ),
            needs=("basics",),
        ),
        Module(
            walks,
            (long_spiral, some_diagonals, inner_neighbours, corner_neighbours),
            (
                Bug(
                    "[::-1]",
                    "",
                    "The spiral turns to the wrong side after the first row.",
                    "spiral",
                    long_spiral,
                ),
                Bug(
                    "result[row + column].append",
                    "result[row - column].append",
                    "The diagonals run in the wrong direction.",
                    "diagonals",
                    some_diagonals,
                ),
                Bug(
                    "range(rows + columns - 1)",
                    "range(rows + columns)",
                    "There is an empty diagonal at the end.",
                    "diagonals",
                    some_diagonals,
                ),
                Bug(
                    "if 0 <= y < rows and 0 <= x < columns",
                    "if y < rows and x < columns",
                    "A field at the upper edge has neighbours on the opposite edge.",
                    "neighbours",
                    corner_neighbours,
                ),
                Bug(
                    "0 <= y < rows and 0 <= x < columns",
                    "0 <= y < rows and 0 <= x < rows",
                    "In a wide matrix, fields on the right lack neighbours.",
                    "neighbours",
                    last_neighbours,
                ),
                Bug(
                    "(row, column + 1), (row + 1, column)]",
                    "(row, column + 1), (row + 1, column + 1)]",
                    "The number below a field is not the right one.",
                    "neighbours",
                    inner_neighbours,
                ),
            ),
            needs=("basics",),
        ),
        Module(
            grids,
            (cheap_below, cheap_right, one_peak, maxima),
            (
                Bug(
                    "best[row - 1][column]] if row > 0 else []",
                    "best[row - 1][column]] if row > 1 else []",
                    "The cost of the cheapest path is too low when it goes down from the first row.",
                    "cheapest_path",
                    cheap_below,
                ),
                Bug(
                    "min(before, default=0)",
                    "max(before, default=0)",
                    "The cheapest path is the most expensive one.",
                    "cheapest_path",
                    cheap_right,
                ),
                Bug(
                    "before.append(best[row][column - 1])",
                    "before.append(costs[row][column - 1])",
                    "The cheapest path ignores the costs of earlier fields in a row.",
                    "cheapest_path",
                    cheap_right,
                ),
                Bug(
                    "all(matrix[y][x] > other",
                    "all(matrix[y][x] >= other",
                    "A plain without any peak consists of peaks.",
                    "peaks",
                    no_peak,
                ),
                Bug(
                    "all(matrix[y][x] > other",
                    "all(matrix[y][x] < other",
                    "The peaks are in fact the lowest places.",
                    "peaks",
                    one_peak,
                ),
                Bug(
                    "[max(row) for row in matrix]",
                    "[max(column) for column in zip(*matrix, strict=True)]",
                    "The largest numbers are those of the columns.",
                    "row_maxima",
                    maxima,
                ),
                Bug(
                    "[max(row) for",
                    "[max(0, *row) for",
                    "The largest number of a row is wrong when all are negative.",
                    "row_maxima",
                    negative_maxima,
                ),
            ),
            needs=("basics", "walks"),
        ),
    ),
    {
        "transpose": ("flip", "swap_axes"),
        "add_matrices": ("matrix_sum", "sum_of"),
        "multiply": ("product_of", "matrix_product"),
        "power": ("raised", "repeated_product"),
        "spiral": ("snail", "inward_walk"),
        "neighbours": ("neighbour_values", "values_around"),
        "cheapest_path": ("least_cost", "lowest_cost"),
    },
)
