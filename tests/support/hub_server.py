"""A small Hugging Face hub for tests, in a process of its own: data set repositories in memory, under the
routes that `huggingface_hub` calls. Files above a size go through git LFS, as at the real one.

What it was asked to keep can be read at `/state`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

REPOS: dict[str, dict[str, Any]] = {}
"""By id: `private`, and by revision the files."""
BLOBS: dict[str, bytes] = {}
ITEMS: list[str] = []
"""Repositories of the one collection there is."""
COLLECTION = "acme/gym-0123456789abcdef01234567"
TOKEN = "hf_test_0123456789"
LARGE = 4096
RANGES: list[int] = []
"""The first byte of each download."""
CUTS: list[None] = []
"""One entry for each download of a large file that is still to be cut off."""


def repo_of(request: Request) -> dict[str, Any]:
    repo = REPOS.get(f"{request.path_params['owner']}/{request.path_params['name']}")
    allowed = request.headers.get("authorization") == f"Bearer {TOKEN}"
    if repo is None or (repo["private"] and not allowed):
        raise HTTPException(401, headers={"X-Error-Code": "RepoNotFound"})
    return repo


def files_of(request: Request) -> dict[str, bytes]:
    revisions: dict[str, dict[str, bytes]] = repo_of(request)["revisions"]
    asked = request.path_params.get("revision", "main")
    found = [files for name, files in revisions.items() if asked in (name, commit_id(files))]
    if not found:
        raise HTTPException(404, headers={"X-Error-Code": "RevisionNotFound"})
    return found[0]


def load(folder: Path) -> None:
    for home in folder.glob("*/*/"):
        files = {
            str(path.relative_to(home)): path.read_bytes()
            for path in sorted(home.rglob("*"))
            if path.is_file()
        }
        REPOS[str(home.relative_to(folder))] = {"private": False, "revisions": {"main": files}, "commits": []}


def signed_in(request: Request) -> None:
    if request.headers.get("authorization") != f"Bearer {TOKEN}":
        raise HTTPException(401)


def commit_id(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


async def create(request: Request) -> Response:
    signed_in(request)
    asked = await request.json()
    name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
    if name in REPOS:
        return JSONResponse({"error": "exists", "url": f"{request.base_url}datasets/{name}"}, 409)
    private = asked.get("private") or asked.get("visibility") == "private"
    REPOS[name] = {"private": bool(private), "revisions": {"main": {}}, "commits": []}
    return JSONResponse({"url": f"{request.base_url}datasets/{name}", "name": name})


async def about(request: Request) -> Response:
    files = files_of(request)
    card = files.get("README.md", b"").decode().split("---")
    return JSONResponse(
        {
            "id": f"{request.path_params['owner']}/{request.path_params['name']}",
            "sha": commit_id(files),
            "private": repo_of(request)["private"],
            "siblings": [{"rfilename": name} for name in files],
            "cardData": json.loads(card[1]) if len(card) > 2 else None,
        }
    )


async def preupload(request: Request) -> Response:
    signed_in(request)
    files_of(request)
    asked = (await request.json())["files"]
    modes = [
        {"path": file["path"], "uploadMode": "lfs" if file["size"] > LARGE else "regular"} for file in asked
    ]
    return JSONResponse({"files": [{**mode, "shouldIgnore": False, "oid": None} for mode in modes]})


async def commit(request: Request) -> Response:
    signed_in(request)
    repo, files = repo_of(request), dict(files_of(request))
    lines = [json.loads(line) for line in (await request.body()).splitlines()]
    for line in lines:
        value = line["value"]
        match line["key"]:
            case "file":
                files[value["path"]] = base64.b64decode(value["content"])
            case "lfsFile":
                files[value["path"]] = BLOBS[value["oid"]]
    revision, pull_request = request.path_params["revision"], request.query_params.get("create_pr")
    if pull_request:
        revision = f"refs/pr/{len(repo['revisions'])}"
    repo["revisions"][revision] = files
    repo["commits"].append({"revision": revision, **lines[0]["value"]})
    url = f"{request.base_url}datasets/{request.path_params['owner']}/{request.path_params['name']}"
    asked = {"pullRequestUrl": f"{url}/discussions/{revision.rpartition('/')[2]}"} if pull_request else {}
    oid = commit_id(files)
    return JSONResponse({"success": True, "commitOid": oid, "commitUrl": f"{url}/commit/{oid}", **asked})


async def batch(request: Request) -> Response:
    signed_in(request)
    objects = (await request.json())["objects"]
    made = [
        {**one, "actions": {"upload": {"href": f"{request.base_url}blobs/{one['oid']}"}}} for one in objects
    ]
    return JSONResponse({"transfer": "basic", "objects": made})


async def keep(request: Request) -> Response:
    body = await request.body()
    BLOBS[request.path_params["oid"]] = body
    return Response()


async def resolve(request: Request) -> Response:
    files = files_of(request)
    headers = {"X-Repo-Commit": commit_id(files)}
    content = files.get(request.path_params["path"])
    if content is None:
        raise HTTPException(404, headers={"X-Error-Code": "EntryNotFound", **headers})
    headers |= {"ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
    if request.method == "HEAD":
        return Response(headers={**headers, "Content-Length": str(len(content))})
    first = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    RANGES.append(first)
    if CUTS and first == 0 and len(content) > LARGE:
        CUTS.pop()
        return StreamingResponse(half_of(content), headers={**headers, "Content-Length": str(len(content))})
    if first:
        headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
    return Response(content[first:], 206 if first else 200, headers=headers)


async def half_of(content: bytes) -> AsyncIterator[bytes]:
    """Half of a file; then the connection ends."""
    yield content[: len(content) // 2]
    raise ConnectionError("cut off")


async def collect(request: Request) -> Response:
    signed_in(request)
    if request.path_params["slug"] != COLLECTION:
        raise HTTPException(404)
    if request.method == "POST":
        item = (await request.json())["item"]["id"]
        if item in ITEMS:
            return JSONResponse({"error": "already there"}, 409)
        ITEMS.append(item)
    return JSONResponse(
        {
            "slug": COLLECTION,
            "title": "Gym",
            "owner": {"name": "acme"},
            "items": [],
            "lastUpdated": "2026-01-01T00:00:00.000Z",
            "position": 0,
            "private": False,
            "theme": "blue",
            "upvotes": 0,
        }
    )


async def state(_: Request) -> Response:
    repos = {
        name: {
            **repo,
            "revisions": {
                revision: {path: content.decode(errors="replace") for path, content in files.items()}
                for revision, files in repo["revisions"].items()
            },
        }
        for name, repo in REPOS.items()
    }
    return JSONResponse({"repos": repos, "items": ITEMS, "ranges": RANGES})


async def failed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


REPO = "/api/datasets/{owner}/{name}"
app = Starlette(
    routes=[
        Route("/state", state),
        Route("/api/repos/create", create, methods=["POST"]),
        Route(REPO, about),
        Route(f"{REPO}/revision/{{revision:path}}", about),
        Route(f"{REPO}/preupload/{{revision:path}}", preupload, methods=["POST"]),
        Route(f"{REPO}/commit/{{revision:path}}", commit, methods=["POST"]),
        Route("/datasets/{owner}/{name}/resolve/{revision}/{path:path}", resolve),
        Route("/datasets/{owner}/{name}.git/info/lfs/objects/batch", batch, methods=["POST"]),
        Route("/blobs/{oid}", keep, methods=["PUT"]),
        Route("/api/collections/{slug:path}/items", collect, methods=["POST"]),
        Route("/api/collections/{slug:path}", collect),
    ],
    exception_handlers={HTTPException: failed},
)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="Public repositories: OWNER/NAME/FILE.")
    parser.add_argument("--cuts", type=int, default=0, help="How many downloads are cut off.")
    options = parser.parse_args()
    CUTS.extend([None] * options.cuts)
    if options.folder:
        load(options.folder)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=options.port, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print(server.servers[0].sockets[0].getsockname()[1], flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main())
