"""Tables in plain text."""

from .layout import shorten


def column_widths(rows: list[list[str]], most: int) -> list[int]:
    """The width of each column, at most `most`."""
    width = max((len(row) for row in rows), default=0)
    columns = [[row[number] for row in rows if number < len(row)] for number in range(width)]
    return [min(most, max(len(cell) for cell in column)) for column in columns]


def format_table(rows: list[list[str]], most: int) -> list[str]:
    """Lines with the cells in columns; long cells are shortened."""
    widths = column_widths(rows, most)
    lines: list[str] = []
    for row in rows:
        cells = [shorten(cell, most).ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(" | ".join(cells).rstrip())
    return lines


def sort_rows(rows: list[list[str]], column: int) -> list[list[str]]:
    """The rows in the order of one column; the list of the caller stays as it is."""
    return sorted(rows, key=lambda row: row[column])
