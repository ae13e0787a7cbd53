"""Lines with fields."""


def split_fields(line: str, mark: str = ",") -> list[str]:
    """The fields of a line; a mark between double quotes belongs to its field, two quotes are one."""
    fields: list[str] = []
    field = ""
    quoted = False
    position = 0
    while position < len(line):
        character = line[position]
        if quoted and character == '"' and line[position + 1 : position + 2] == '"':
            field += '"'
            position += 1
        elif character == '"':
            quoted = not quoted
        elif character == mark and not quoted:
            fields.append(field)
            field = ""
        else:
            field += character
        position += 1
    return [*fields, field]


def join_fields(fields: list[str], mark: str = ",") -> str:
    """A line that `split_fields` turns into the same fields."""
    cells: list[str] = []
    for field in fields:
        if mark in field or '"' in field:
            field = '"' + field.replace('"', '""') + '"'
        cells.append(field)
    return mark.join(cells)


def read_records(text: str) -> list[dict[str, str]]:
    """The records of a text whose first line has the names of the fields."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    names = split_fields(lines[0])
    return [dict(zip(names, split_fields(line), strict=False)) for line in lines[1:]]
