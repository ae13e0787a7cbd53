"""The rich console of the commands."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from nemo_gym.cli.texts import shown
from nemo_gym.wire.masking import without_secrets


class Console(RichConsole):
    """A console on which text is text: square brackets and colons are no markup, control characters are
    replaced, secrets masked. Styles come from the program alone."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What the renderable looks like, with its text made safe. Secrets are masked before a line of them
        is broken into two."""
        if isinstance(renderable, str):
            renderable = without_secrets(renderable)
        elif (
            isinstance(renderable, Text) and (plain := without_secrets(renderable.plain)) != renderable.plain
        ):
            renderable = Text(plain, style=renderable.style)
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=shown(segment.text))
