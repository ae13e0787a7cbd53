"""Ways through a matrix."""

from .basics import Matrix, shape


def spiral(matrix: Matrix) -> list[int]:
    """The numbers clockwise from the upper left corner to the middle."""
    numbers: list[int] = []
    rows = [list(row) for row in matrix]
    while rows:
        numbers.extend(rows.pop(0))
        rows = [list(row) for row in zip(*rows, strict=True)][::-1]
    return numbers


def diagonals(matrix: Matrix) -> list[list[int]]:
    """The diagonals from the upper right to the lower left, by the sum of row and column."""
    rows, columns = shape(matrix)
    result: list[list[int]] = [[] for _ in range(rows + columns - 1)]
    for row in range(rows):
        for column in range(columns):
            result[row + column].append(matrix[row][column])
    return result


def neighbours(matrix: Matrix, row: int, column: int) -> list[int]:
    """The numbers above, left, right and below, as far as there are such."""
    rows, columns = shape(matrix)
    places = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
    return [matrix[y][x] for y, x in places if 0 <= y < rows and 0 <= x < columns]
