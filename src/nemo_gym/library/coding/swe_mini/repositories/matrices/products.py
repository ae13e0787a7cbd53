"""Products of matrices."""

from .basics import Matrix, shape, transpose


def multiply(one: Matrix, other: Matrix) -> Matrix:
    """The product of two matrices."""
    if shape(one)[1] != shape(other)[0]:
        raise ValueError("the shapes do not fit")
    columns = transpose(other)
    return [[sum(a * b for a, b in zip(row, column, strict=False)) for column in columns] for row in one]


def identity(size: int) -> Matrix:
    """The matrix that changes nothing in a product."""
    return [[1 if row == column else 0 for column in range(size)] for row in range(size)]


def power(matrix: Matrix, exponent: int) -> Matrix:
    """The product of so many copies of a square matrix."""
    result = identity(len(matrix))
    while exponent > 0:
        if exponent % 2 == 1:
            result = multiply(result, matrix)
        matrix = multiply(matrix, matrix)
        exponent //= 2
    return result
