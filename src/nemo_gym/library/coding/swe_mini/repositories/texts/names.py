"""Names in several styles."""

from .words import split_words


def snake_name(name: str) -> str:
    """`HttpServer` as `http_server`."""
    result = ""
    for number, character in enumerate(name):
        if character.isupper() and number > 0:
            result += "_"
        result += character.lower()
    return result


def camel_name(name: str) -> str:
    """`http_server` as `HttpServer`."""
    return "".join(part.capitalize() for part in name.split("_"))


def slug(title: str, limit: int) -> str:
    """The words of a title joined by hyphens, as many as fit into `limit` characters."""
    result = ""
    for word in split_words(title):
        longer = f"{result}-{word}" if result else word
        if len(longer) > limit:
            break
        result = longer
    return result
