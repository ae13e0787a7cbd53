"""`GET /docs`: an OpenAPI document as one HTML page without scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any, Final

from starlette.responses import HTMLResponse

_HEADERS: Final = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"}
_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
summary { cursor: pointer } summary b { display: inline-block; width: 3.5rem } code, pre { font-size: 13px }
details { border-bottom: 1px solid #8884; padding: .4rem 0 }
pre { overflow: auto; background: #8881; padding: .6rem }
"""


def docs_page(document: Mapping[str, Any]) -> HTMLResponse:
    """Every route with its body, its answers and a request to copy."""
    title = escape(str(document["info"]["title"]))
    routes = "".join(
        _route(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    schemas = "".join(
        _block(name, schema) for name, schema in document.get("components", {}).get("schemas", {}).items()
    )
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    link = '<p>The same for programs: <a href="openapi.json">openapi.json</a></p>'
    body = f"<h1>{title}</h1>{link}{routes}<h2>Schemas</h2>{schemas}"
    return HTMLResponse(f"{head}<style>{_STYLE}</style>{body}</html>", headers=_HEADERS)


def _route(path: str, method: str, operation: Mapping[str, Any]) -> str:
    summary = escape(str(operation.get("summary", "")))
    head = f"<b>{escape(method.upper())}</b> <code>{escape(path)}</code> {summary}"
    bodies = _schemas(operation.get("requestBody", {}))
    blocks = [
        _pre(_request(path, method, bool(bodies))),
        *(_block("Body", schema) for schema in bodies),
        *(
            _block(f"{status} {answer.get('description', '')}", schema)
            for status, answer in operation.get("responses", {}).items()
            for schema in _schemas(answer)
        ),
    ]
    return f"<details><summary>{head}</summary>{''.join(blocks)}</details>"


def _request(path: str, method: str, has_body: bool) -> str:
    body = " -H 'content-type: application/json' -d '{}'" if has_body else ""
    return f"curl -s -X {method.upper()} localhost:PORT{path}{body}"


def _schemas(content: Mapping[str, Any]) -> Iterable[Any]:
    return [one.get("schema", {}) for one in content.get("content", {}).values()]


def _block(name: str, schema: Any) -> str:
    return f"<p>{escape(name)}</p>{_pre(json.dumps(schema, indent=2, ensure_ascii=False))}"


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"
