"""The small Hub of the tests, to push to: accounts, repositories made, plain LFS in one part or several, commits.

What comes in is held as the Hub lists it: nothing before its commit. It has no Xet.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from .file_server import Handler
from .hub_server import LARGE, HubServer, Repo

INVALID = "Invalid credentials in Authorization header"


@dataclass
class PushedRepo(Repo):
    """A repository that was made by a push."""

    private: bool = True
    commits: int = 0


@dataclass
class HubPushServer(HubServer):
    """`users[token]` is a name; who is in `readers` may not write. Files over `part` bytes are wanted in parts."""

    users: dict[str, str] = field(default_factory=lambda: {"hf_ana": "ana"})
    readers: set[str] = field(default_factory=set)
    stored: dict[str, bytes] = field(default_factory=dict)
    part: int = 10**9

    def answer(self, handler: Handler) -> None:
        path = handler.path.partition("?")[0]
        repo = r"([^/]+/[^/]+)"
        if handler.here == self.storage_port and handler.command == "PUT":
            self._put(handler, path)
        elif path == "/api/whoami-v2":
            self._whoami(handler)
        elif path == "/api/repos/create":
            self._create(handler)
        elif path == "/api/validate-yaml":
            self._validate(handler)
        elif found := re.fullmatch(rf"/api/models/{repo}/preupload/main", path):
            self._preupload(handler, found[1])
        elif found := re.fullmatch(rf"/{repo}\.git/info/lfs/objects/batch", path):
            self._batch(handler)
        elif found := re.fullmatch(r"/lfs/(done|verify)/(\w+)", path):
            self._arrived(handler, found[2])
        elif found := re.fullmatch(rf"/api/models/{repo}/commit/main", path):
            self._commit(handler, found[1])
        else:
            super().answer(handler)

    def _user(self, handler: Handler) -> tuple[str, str]:
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        return token, self.users.get(token, "")

    def _whoami(self, handler: Handler) -> None:
        _, name = self._user(handler)
        if name:
            _json(handler, {"name": name, "type": "user"})
        else:
            handler.send_plain(401, X_Error_Message=INVALID)

    def _may_write(self, handler: Handler, owner: str) -> bool:
        token, name = self._user(handler)
        allowed = bool(name) and name == owner and token not in self.readers
        if not allowed:
            handler.send_plain(403, X_Error_Message="You don't have the rights to do this")
        return allowed

    def _create(self, handler: Handler) -> None:
        wish = json.loads(handler.take("create"))
        name = f"{wish['organization']}/{wish['name']}"
        if not self._may_write(handler, wish["organization"]):
            return
        if name in self.repos:
            _json(handler, {"error": "You already created this model repo"}, 409)
            return
        self.repos[name] = PushedRepo({}, private=wish.get("visibility") == "private")
        _json(handler, {"url": f"{self.url}/{name}", "id": name})

    def _validate(self, handler: Handler) -> None:
        content = json.loads(handler.take("validate"))["content"]
        try:
            facts = yaml.safe_load(content.split("---")[1])
            problem = "" if isinstance(facts, dict) else "no metadata"
        except (yaml.YAMLError, IndexError) as error:
            problem = str(error)
        errors = [{"message": problem}] if problem else []
        _json(handler, {"errors": errors, "warnings": []}, 400 if errors else 200)

    def _preupload(self, handler: Handler, name: str) -> None:
        wish = json.loads(handler.take("preupload"))
        if self._may_write(handler, name.partition("/")[0]):
            modes = [(file["path"], "lfs" if file["path"].endswith(LARGE) else "regular") for file in wish["files"]]
            there = self.repos[name].files
            files = [
                {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": _oid(there.get(path), mode)}
                for path, mode in modes
            ]
            _json(handler, {"files": files})

    def _batch(self, handler: Handler) -> None:
        wish = json.loads(handler.take("batch"))
        _json(handler, {"transfer": "basic", "objects": [self._wanted(each) for each in wish["objects"]]})

    def _wanted(self, wish: dict[str, Any]) -> dict[str, Any]:
        oid, size = wish["oid"], wish["size"]
        if oid in self.stored:
            return {"oid": oid, "size": size}
        place = f"http://127.0.0.1:{self.storage_port}/put/{oid}"
        upload: dict[str, Any] = {"href": f"{place}/1"}
        if size > self.part:
            parts = {str(n + 1): f"{place}/{n + 1}" for n in range(-(-size // self.part))}
            upload = {"href": f"{self.url}/lfs/done/{oid}", "header": {"chunk_size": str(self.part), **parts}}
        verify = {"href": f"{self.url}/lfs/verify/{oid}"}
        return {"oid": oid, "size": size, "actions": {"upload": upload, "verify": verify}}

    def _put(self, handler: Handler, path: str) -> None:
        _, _, oid, number = path.split("/")
        self.stored[f"{oid}/{number}"] = handler.take("put")
        handler.send_plain(200, ETag=f'"{number}"')

    def _arrived(self, handler: Handler, oid: str) -> None:
        """All parts are there: put together, they must be what was said."""
        handler.take("arrived")
        numbers = sorted(int(key.partition("/")[2]) for key in self.stored if key.startswith(f"{oid}/"))
        if oid not in self.stored:
            self.stored[oid] = b"".join(self.stored.pop(f"{oid}/{number}") for number in numbers)
        assert hashlib.sha256(self.stored[oid]).hexdigest() == oid
        _json(handler, {})

    def _commit(self, handler: Handler, name: str) -> None:
        lines = [json.loads(line) for line in handler.take("commit").splitlines()]
        if not self._may_write(handler, name.partition("/")[0]):
            return
        repo = self.repos[name]
        assert isinstance(repo, PushedRepo)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.stored[value["oid"]]
            else:
                assert line["key"] == "header"
        repo.commits += 1
        repo.commit = hashlib.sha1(f"{name} {repo.commits}".encode()).hexdigest()
        _json(handler, {"commitUrl": f"{self.url}/{name}/commit/{repo.commit}", "commitOid": repo.commit})

    def facts_of(self, handler: Handler, name: str, repo: Repo) -> dict[str, Any]:
        head = repo.files.get("README.md", b"").decode().split("---")
        tags = yaml.safe_load(head[1]).get("tags", []) if len(head) > 2 else []
        return super().facts_of(handler, name, repo) | {"private": getattr(repo, "private", False), "tags": tags}

    def may_read(self, handler: Handler, name: str, repo: Repo) -> bool:
        return not getattr(repo, "private", False) or self._user(handler)[1] == name.partition("/")[0]


def _oid(content: bytes | None, mode: str) -> str | None:
    if content is None:
        return None
    if mode == "lfs":
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _json(handler: Handler, body: dict[str, Any], status: int = 200) -> None:
    handler.send_plain(status, json.dumps(body).encode(), Content_Type="application/json")
