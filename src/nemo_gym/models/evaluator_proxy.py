"""`EvaluatorProxyModel`: a model behind the adapter proxy of NeMo Evaluator 0.3."""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, Self, Unpack

from nemo_gym.models.chat import ChatModel
from nemo_gym.models.remote import Access, EndpointSettings


class EvaluatorProxyModel(ChatModel):
    """`POST {url}/s/<hex>/chat/completions`: a rollout is a session, whose calls the proxy counts.

    A URL that names a session already (`http://localhost:4000/s/1f2e`) keeps it. When the calls of a session
    are used up, the rollout ends with the outcome `session_budget_exhausted`. The proxy adds what follows the
    session to the URL of the model, so there is no `/v1` in the path.
    """

    at_root = True

    def __init__(
        self,
        url: str,
        name: str,
        settings: EndpointSettings | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **access: Unpack[Access],
    ) -> None:
        super().__init__(url, name, settings, headers=headers, **access)
        self._salt = secrets.token_bytes(8)
        self._has_session = bool(_SESSION.search(self.endpoint.url))

    def for_session_id(self, session_id: str) -> Self:
        if self._has_session:
            return self
        session = copy.copy(self)
        number = blake2b(session_id.encode(), key=self._salt, digest_size=8).hexdigest()
        session.path = f"/s/{number}{self.path}"
        return session


_SESSION: Final = re.compile(r"/s/[a-f0-9]+(/|$)")
