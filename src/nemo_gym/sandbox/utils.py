"""Image references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nemo_gym.sandbox.errors import InvalidSandbox


def rewrite_image(image: str | None, rewrites: Sequence[Mapping[str, str]] | None) -> str | None:
    """The image with its beginning replaced by the first rule `{"from": ..., "to": ...}` that fits, as for a
    mirror of a registry.

    Raises:
        InvalidSandbox: a rule lacks one of the two.
    """
    for rule in rewrites or ():
        if not {"from", "to"} <= set(rule):
            raise InvalidSandbox(f"image rewrite {dict(rule)!r}: expected the keys 'from' and 'to'")
        if image is not None and image.startswith(rule["from"]):
            return rule["to"] + image.removeprefix(rule["from"])
    return image
