"""A Hub on loopback: what the real client needs to make a repository, commit to it and download from it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_test"
LARGE = (".safetensors", ".bin")


@dataclass
class Repository:
    """Files by branch and by commit, newest commit last."""

    private: bool = False
    branches: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"main": {".gitattributes": b""}})
    commits: list[str] = field(default_factory=lambda: ["0" * 40])
    messages: list[str] = field(default_factory=list)
    history: dict[str, dict[str, bytes]] = field(default_factory=dict)


@dataclass
class Hub:
    """What the server holds, and what a test tells it to do wrong."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failing_uploads: int = 0  # so many uploads of large files are cut off
    url: str = ""


def digest(content: bytes) -> str:
    """SHA-256, as large files are named."""
    return hashlib.sha256(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, status: int, content: Any = b"", headers: dict[str, str] | None = None) -> None:
        """Send JSON or bytes."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        """An error as the Hub names it."""
        self.answer(status, {"error": code}, {"X-Error-Code": code, "X-Error-Message": code})

    def body(self) -> bytes:
        """Of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    @property
    def may_write(self) -> bool:
        """Whether the token is the right one."""
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def repository(self, name: str) -> Repository | None:
        """One that this token may see."""
        found = self.hub.repositories.get(name)
        return None if found is None or (found.private and not self.may_write) else found

    def handle_any(self) -> None:
        """Find out what is asked for."""
        url = urlsplit(self.path)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        self.hub.requests.append(f"{self.command} {url.path}")
        body = self.body()
        if self.command == "PUT" or parts[0] == "verify":
            self.store(parts[-1], body)
        elif "info" in parts and "lfs" in parts:
            self.batch(json.loads(body))
        elif parts[0] == "api":
            self.api(parts[1:], body, parse_qs(url.query))
        elif "resolve" in parts:
            at = parts.index("resolve")
            self.resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            self.refuse(404, "NotFound")

    do_GET = do_POST = do_PUT = do_HEAD = handle_any

    def api(self, parts: list[str], body: bytes, query: dict[str, list[str]]) -> None:
        """Everything below /api."""
        if parts == ["repos", "create"]:
            self.create(json.loads(body))
        elif parts == ["whoami-v2"]:
            self.answer(200, {"name": "me", "type": "user"}) if self.may_write else self.refuse(401, "Unauthorized")
        elif parts == ["validate-yaml"]:
            self.answer(200, {"errors": [], "warnings": []})
        elif parts[0] == "models":
            self.model("/".join(parts[1:3]), parts[3:], body)
        else:
            self.refuse(404, "NotFound")

    def create(self, asked: dict[str, Any]) -> None:
        """A repository."""
        if not self.may_write:
            self.refuse(401, "Unauthorized")
            return
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        if name in self.hub.repositories:
            self.answer(409, {"error": "exists", "url": f"{self.hub.url}/{name}"})
            return
        self.hub.repositories[name] = Repository(
            private=bool(asked.get("private") or asked.get("visibility") == "private")
        )
        self.answer(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def model(self, name: str, rest: list[str], body: bytes) -> None:
        """Everything below /api/models/OWNER/NAME."""
        found = self.repository(name)
        if found is None:
            self.refuse(401 if not self.may_write else 404, "RepoNotFound")
            return
        what, revision = (rest[0] if rest else "revision"), (rest[1] if len(rest) > 1 else "main")
        if what == "branch":
            if revision in found.branches:
                self.answer(409, {"error": "Reference already exists"})
                return
            found.branches[revision] = dict(found.branches["main"])
            self.answer(200, {})
        elif what not in ("revision", "tree") and not self.may_write:
            self.refuse(403, "Forbidden")
        elif what == "preupload":
            files = [
                {"path": one["path"], "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                 "shouldIgnore": False} for one in json.loads(body)["files"]
            ]  # fmt: skip
            self.answer(200, {"files": files})
        elif what == "commit":
            self.commit(name, found, revision, body)
        elif self.branch(found, revision) is None:
            self.refuse(404, "RevisionNotFound")
        elif what == "tree":
            self.tree(self.branch(found, revision) or {}, "/".join(rest[2:]))
        else:
            self.answer(200, self.described(name, found, revision))

    def tree(self, files: dict[str, bytes], folder: str) -> None:
        """The files of a folder; this server's repositories are flat."""
        if folder:
            self.refuse(404, "EntryNotFound")
            return
        listed = [
            {"type": "file", "path": name, "size": len(files[name]), "oid": digest(files[name])} for name in files
        ]
        self.answer(200, listed)

    def branch(self, found: Repository, revision: str) -> dict[str, bytes] | None:
        """The files of a branch, or of a commit."""
        return found.branches.get(revision, found.history.get(revision))

    def described(self, name: str, found: Repository, revision: str) -> dict[str, Any]:
        """A repository with its files."""
        siblings = []
        for path, content in sorted((self.branch(found, revision) or {}).items()):
            one: dict[str, Any] = {"rfilename": path, "size": len(content)}
            one["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            if path.endswith(LARGE):
                one["lfs"] = {"sha256": digest(content), "size": len(content), "pointerSize": 130}
            siblings.append(one)
        return {"id": name, "modelId": name, "sha": found.commits[-1], "private": found.private, "siblings": siblings,
                "tags": [], "downloads": 0}  # fmt: skip

    def commit(self, name: str, found: Repository, revision: str, body: bytes) -> None:
        """All files at once, or none."""
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        files = dict(found.branches[revision])
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                if value.get("parentCommit") not in (None, found.commits[-1]):
                    self.refuse(412, "ParentCommit")
                    return
                found.messages.append(value["summary"])
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
        found.branches[revision] = files
        found.commits.append(hashlib.sha1(body).hexdigest())
        found.history[found.commits[-1]] = files
        url = f"{self.hub.url}/{name}/commit/{found.commits[-1]}"
        self.answer(200, {"success": True, "commitOid": found.commits[-1], "commitUrl": url, "hookOutput": ""})

    def batch(self, asked: dict[str, Any]) -> None:
        """Where large files are to be sent; nowhere, if they are here."""
        objects = []
        for one in asked["objects"]:
            oid, actions = one["oid"], {}
            if oid not in self.hub.large:
                actions = {name: {"href": f"{self.hub.url}/{name}/{oid}"} for name in ("upload", "verify")}
            objects.append({**one, "actions": actions} if actions else one)
        self.answer(200, {"transfer": "basic", "objects": objects})

    def store(self, oid: str, content: bytes) -> None:
        """A large file, or the question whether it came."""
        if self.command == "PUT":
            if self.hub.failing_uploads:
                self.hub.failing_uploads -= 1
                self.close_connection = True
                self.connection.close()
                return
            self.hub.large[digest(content)] = content
        self.answer(200, {})

    def resolve(self, name: str, revision: str, path: str) -> None:
        """One file."""
        found = self.repository(name)
        if found is None:
            self.refuse(401, "RepoNotFound")
            return
        files = self.branch(found, revision)
        if files is None or path not in files:
            self.refuse(404, "RevisionNotFound" if files is None else "EntryNotFound")
            return
        content = files[path]
        headers = {"X-Repo-Commit": found.commits[-1], "ETag": f'"{digest(content)}"'}
        if path.endswith(LARGE):
            headers |= {"X-Linked-Etag": f'"{digest(content)}"', "X-Linked-Size": str(len(content))}
        self.answer(200, content, headers)


@contextmanager
def serving() -> Iterator[Hub]:
    """A Hub, as long as the block lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environment(hub: Hub, home: Path, token: str | None = TOKEN) -> dict[str, str]:
    """Of a fresh process that talks to the server."""
    base = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    own = {"HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**base, **own, **({"HF_TOKEN": token} if token else {})}
