import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from pydantic import BaseModel, Field, PrivateAttr

DOCUMENTS = ["cats sleep a lot", "dogs bark", "cats purr"]


class SearchConfig(BaseResourcesServerConfig):
    max_concurrency: int = 2


class SearchRequest(BaseModel):
    query: str
    limit: int = Field(default=10, ge=1)


class Hit(BaseModel):
    text: str
    digest: str


class SearchResponse(BaseModel):
    hits: list[Hit]
    most_at_once: int


class SearchServer(SimpleResourcesServer):
    config: SearchConfig
    _slots: asyncio.Semaphore = PrivateAttr()
    _pool: ThreadPoolExecutor = PrivateAttr()
    _running: int = PrivateAttr(default=0)
    _most: int = PrivateAttr(default=0)

    def model_post_init(self, context: Any) -> None:
        self._slots = asyncio.Semaphore(self.config.max_concurrency)
        self._pool = ThreadPoolExecutor(max_workers=self.config.max_concurrency)

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/search", response_model=SearchResponse)(self.search)
        app.post("/search_all")(self.search_all)
        return app

    async def search(self, body: SearchRequest) -> SearchResponse:
        async with self._slots:
            self._running += 1
            self._most = max(self._most, self._running)
            loop = asyncio.get_running_loop()
            hits = await loop.run_in_executor(self._pool, self._find, body.query, body.limit)
            self._running -= 1
        return SearchResponse(hits=hits, most_at_once=self._most)

    async def search_all(self, body: list[SearchRequest]) -> list[SearchResponse]:
        return list(await asyncio.gather(*(self.search(one) for one in body)))

    def _find(self, query: str, limit: int) -> list[Hit]:
        found = [text for text in DOCUMENTS if query in text]
        return [
            Hit(text=text, digest=hashlib.sha256(text.encode()).hexdigest()[:8]) for text in found[:limit]
        ]

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        await asyncio.sleep(0)
        return BaseVerifyResponse(**body.model_dump(), reward=float("purr" in body.response.output_text))


if __name__ == "__main__":
    SearchServer.run_webserver()
