"""Sums and shapes of matrices."""

Matrix = list[list[int]]


def shape(matrix: Matrix) -> tuple[int, int]:
    """The number of rows and of columns.

    Raises:
        ValueError: the rows differ in length.
    """
    columns = len(matrix[0]) if matrix else 0
    if any(len(row) != columns for row in matrix):
        raise ValueError("the rows differ in length")
    return len(matrix), columns


def transpose(matrix: Matrix) -> Matrix:
    """Rows as columns."""
    rows, columns = shape(matrix)
    return [[matrix[row][column] for row in range(rows)] for column in range(columns)]


def add_matrices(one: Matrix, other: Matrix) -> Matrix:
    """The sum of two matrices of one shape."""
    if shape(one) != shape(other):
        raise ValueError("the shapes differ")
    return [
        [a + b for a, b in zip(left, right, strict=False)] for left, right in zip(one, other, strict=False)
    ]


def scale(matrix: Matrix, factor: int) -> Matrix:
    """A new matrix with every number multiplied."""
    return [[factor * value for value in row] for row in matrix]
