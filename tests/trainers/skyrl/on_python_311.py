"""SkyRL 0.3 takes Python 3.11, but pydantic wants the newer `TypedDict` there. Import this before SkyRL."""

import typing

import typing_extensions

typing.TypedDict = typing_extensions.TypedDict
