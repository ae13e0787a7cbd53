"""A page of another site in the real Chromium can neither read anything of the servers nor start anything.

The page tries every way that a browser has to send a request, and reports what became of it to the server
that it came from. Its host names lead to loopback, as those of an attacker would.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "serving"))

from every_server import KINDS, every_server, touched

CHROMIUM = shutil.which("chromium")
PAGE = """<!doctype html><title>page</title><div id=frames></div><script>
const targets = TARGETS, results = {};
async function attempt(name, work) {
  const late = new Promise(done => setTimeout(done, 5000, "silent"));
  try { results[name] = String(await Promise.race([work(), late])); }
  catch (error) { results[name] = "refused: " + error.name; }
}
const loaded = (tag, field, url) => new Promise((done, failed) => {
  const element = document.createElement(tag);
  element.onload = () => done("loaded"); element.onerror = () => failed(new Error("not loaded"));
  element[field] = url; document.body.append(element);
});
const body = JSON.stringify({input: "hi", responses_create_params: {input: "hi"}, response: {output: []}});
async function run() {
  const all = [];
  for (const [kind, url] of Object.entries(targets)) {
    const go = (name, work) => all.push(attempt(kind + " " + name, work));
    const root = new URL("/", url).href;
    go("get", async () => (await fetch(root)).text());
    go("get opaque", async () => (await fetch(root, {mode: "no-cors"})).text());
    go("json", async () => (await fetch(url, {method: "POST", body,
      headers: {"content-type": "application/json"}})).text());
    const form = "application/x-www-form-urlencoded", files = "multipart/form-data; boundary=x";
    for (const type of ["text/plain", form, files]) {
      go(type, async () => (await fetch(url, {method: "POST", mode: "no-cors", body,
        headers: {"content-type": type}})).text());
    }
    const blind = {method: "POST", mode: "no-cors"};
    go("blob", async () => (await fetch(url, {...blind, body: new Blob([body])})).text());
    go("no body", async () => (await fetch(new URL("/forget", url), blind)).text());
    go("beacon", async () => navigator.sendBeacon(url, body) && "");
    go("script", () => loaded("script", "src", new URL("/openapi.json", url).href));
    go("image", () => loaded("img", "src", root));
    go("style", () => { const link = loaded("link", "href", root); return link; });
    go("socket", () => new Promise((done, failed) => {
      const socket = new WebSocket(url.replace("http", "ws"));
      socket.onopen = () => done("opened"); socket.onerror = () => failed(new Error("closed"));
    }));
    go("form in a frame", () => new Promise(done => {
      const frame = document.createElement("iframe"), form = document.createElement("form");
      frame.name = kind; frame.sandbox = "allow-scripts"; form.target = kind; form.method = "post";
      form.enctype = "text/plain"; form.action = url;
      const field = document.createElement("input");
      field.name = body.slice(0, -1) + ',"x":"'; field.value = '"}'; form.append(field);
      document.body.append(frame, form); form.submit();
      frame.onload = () => { try { done(frame.contentDocument.body.textContent) } catch { done("") } };
    }));
  }
  await Promise.all(all);
  await fetch("/report", {method: "POST", body: JSON.stringify(results)});
}
run();
</script>"""


class Site:
    """The page's own server, which waits for the page's report."""

    def __init__(self, targets: dict[str, str]) -> None:
        page = PAGE.replace("TARGETS", json.dumps(targets)).encode()
        self.report: dict[str, str] = {}
        self.reported = threading.Event()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.end_headers()
                self.wfile.write(page)

            def do_POST(self) -> None:
                site.report = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()
                site.reported.set()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    with every_server() as ports:
        yield ports


def browser(profile: Path, *words: str) -> list[str]:
    assert CHROMIUM, "install it: apt-get install --no-install-recommends chromium"
    names = ["page.example", "rebound.example", "127.0.0.1.nip.example"]
    rules = ",".join(f"MAP {name} 127.0.0.1" for name in names)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"]
    return [CHROMIUM, *flags, f"--host-resolver-rules={rules}", *words]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "rebound.example"])
@pytest.mark.parametrize("page", ["page.example", "localhost"])
def test_a_foreign_page_reads_nothing_and_starts_nothing(
    ports: dict[str, int], tmp_path: Path, host: str, page: str
) -> None:
    site = Site({kind: f"http://{host}:{ports[kind]}{path}" for kind, path in KINDS.items()})
    with subprocess.Popen(
        browser(tmp_path, "--remote-debugging-port=0", f"http://{page}:{site.port}/"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert site.reported.wait(120), "the page did not report"
        finally:
            process.kill()
            site.server.shutdown()
            site.server.server_close()
    kinds = {name.partition(" ")[0] for name in site.report}
    assert kinds == KINDS.keys()
    harmless = {"", "true", "silent"}
    read = {
        name: said for name, said in site.report.items() if said not in harmless and "refused" not in said
    }
    assert read == {}
    assert touched == []


@pytest.mark.parametrize("name", ["rebound.example", "127.0.0.1.nip.example"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_rebound_page_gets_only_the_refusal(
    ports: dict[str, int], tmp_path: Path, kind: str, name: str
) -> None:
    """Such a page has the server's own origin, so its browser would let it read and send everything."""
    argv = browser(tmp_path, "--dump-dom", f"http://{name}:{ports[kind]}/openapi.json")
    said = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "does not go by the host name" in said
    assert "openapi" not in said


def test_a_person_can_open_the_servers_own_page(ports: dict[str, int], tmp_path: Path) -> None:
    argv = browser(tmp_path, "--dump-dom", f"http://localhost:{ports['model']}/docs")
    said = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "/v1/responses" in said
