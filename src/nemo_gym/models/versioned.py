"""`VersionedModel`: a model whose sampled tokens have the version of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from nemo_gym.models.base import Model, WrappedModel
from nemo_gym.wire.items import TOKEN_FIELDS
from nemo_gym.wire.params import RequestParams
from nemo_gym.wire.response import Response


class VersionedModel(WrappedModel):
    """Notes on the tokens of every call, unless they have one, the version when the call began.

    Args:
        version: the version now; None where nobody has said it.
    """

    def __init__(self, inner: Model, version: Callable[[], int | None]) -> None:
        super().__init__(inner)
        self._version = version

    async def responses(self, params: RequestParams) -> Response:
        version = self._version()
        response = await self.inner.responses(params)
        if version is None:
            return response
        items = cast("list[dict[str, Any]]", response.output)
        output = [
            {**item, "weight_version": item.get("weight_version", version)}
            if item.get(TOKEN_FIELDS[1]) is not None
            else item
            for item in items
        ]
        return Response({**response.data, "output": output})
