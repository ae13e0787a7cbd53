from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import SESSION_ID_KEY
from pydantic import BaseModel


class NotebookConfig(BaseResourcesServerConfig):
    max_notes: int = 2


class Note(BaseModel):
    text: str


class TooManyNotes(Exception):
    pass


class NotebookServer(SimpleResourcesServer):
    config: NotebookConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        notes: dict[str, list[str]] = {}
        router = APIRouter(tags=["notes"])

        @router.post("/write_note", response_class=PlainTextResponse)
        async def write_note(request: Request, body: Note) -> str:
            written = notes.setdefault(request.session[SESSION_ID_KEY], [])
            if len(written) >= self.config.max_notes:
                raise TooManyNotes(f"only {self.config.max_notes} notes")
            written.append(body.text)
            return f"note {len(written)} written"

        @router.get("/notes")
        async def read_notes(request: Request) -> list[str]:
            return notes.get(request.session[SESSION_ID_KEY], [])

        @app.exception_handler(TooManyNotes)
        async def too_many(request: Request, error: TooManyNotes) -> JSONResponse:
            return JSONResponse({"error": str(error)}, status_code=409)

        @app.middleware("http")
        async def mark(request: Request, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-notebook"] = "open" if app.state.open else "shut"
            return response

        @asynccontextmanager
        async def lifespan(app: FastAPI):
            app.state.open = True
            yield
            app.state.open = False

        app.state.open = False
        app.router.lifespan_context = lifespan
        app.include_router(router)
        return app

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=float(bool(body.response.output)))


if __name__ == "__main__":
    NotebookServer.run_webserver()
