"""Matrices as maps: every number is the cost of a field."""

from .basics import Matrix, shape
from .walks import neighbours


def cheapest_path(costs: Matrix) -> int:
    """The least sum on a way from the upper left to the lower right, by steps to the right or down."""
    rows, columns = shape(costs)
    best = [[0] * columns for _ in range(rows)]
    for row in range(rows):
        for column in range(columns):
            before = [best[row - 1][column]] if row > 0 else []
            if column > 0:
                before.append(best[row][column - 1])
            best[row][column] = costs[row][column] + min(before, default=0)
    return best[-1][-1]


def peaks(matrix: Matrix) -> list[tuple[int, int]]:
    """The places whose number is larger than all numbers beside it."""
    rows, columns = shape(matrix)
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return [(y, x) for y, x in places if all(matrix[y][x] > other for other in neighbours(matrix, y, x))]


def row_maxima(matrix: Matrix) -> list[int]:
    """The largest number of each row."""
    return [max(row) for row in matrix]
