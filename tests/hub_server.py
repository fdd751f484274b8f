"""A small Hugging Face Hub on 127.0.0.1: what its protocol needs to look up a repository and fetch files.

Large files answer with a redirect to another port, as the Hub's storage does. It can cut, stall, corrupt and
refuse (see `file_server`). That it speaks the real protocol is tested with huggingface_hub's own download.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .file_server import FileServer, Handler

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".gguf")


@dataclass
class Repo:
    """Files by name at one commit, which is also `main` and `refs/pr/1`. A gated one wants this token."""

    files: dict[str, bytes]
    commit: str = COMMIT
    token: str = ""


@dataclass
class HubServer(FileServer):
    """`repos["owner/name"]`; `url` is what HF_ENDPOINT would be."""

    repos: dict[str, Repo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.storage_port = self.listen()

    def answer(self, handler: Handler) -> None:
        path = handler.path.partition("?")[0]
        if handler.here == self.storage_port:
            self._stored(handler, path)
        elif path == "/":
            handler.send_plain(200, b"hub")
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            self._info(handler, found[1], found[2] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(handler, found[1], found[2], found[3])
        else:
            handler.send_plain(404)

    def _repo(self, handler: Handler, name: str, revision: str) -> Repo | None:
        repo = self.repos.get(name)
        if repo is None or not self.may_read(handler, name, repo):
            handler.send_plain(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
            return None
        if unquote(revision) not in ("main", "refs/pr/1", repo.commit):
            handler.send_plain(404, X_Error_Code="RevisionNotFound", X_Error_Message="Revision not found")
            return None
        return repo

    def _info(self, handler: Handler, name: str, revision: str) -> None:
        repo = self._repo(handler, name, revision)
        if repo:
            body = self.facts_of(handler, name, repo)
            handler.send_plain(200, json.dumps(body).encode(), Content_Type="application/json")

    def facts_of(self, handler: Handler, name: str, repo: Repo) -> dict[str, Any]:
        """What the Hub tells of a repository."""
        siblings = [_sibling(file, content) for file, content in repo.files.items()]
        gated = "manual" if repo.token else False
        return {"id": name, "sha": repo.commit, "gated": gated, "private": False, "siblings": siblings}

    def may_read(self, handler: Handler, name: str, repo: Repo) -> bool:
        """Whether the Hub tells this one that the repository is there."""
        return True

    def _resolve(self, handler: Handler, name: str, revision: str, file: str) -> None:
        repo = self._repo(handler, name, revision)
        if repo is None:
            return
        if repo.token and handler.headers.get("Authorization") != f"Bearer {repo.token}":
            status = 403 if handler.headers.get("Authorization") else 401
            handler.send_plain(status, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted")
            return
        content = repo.files.get(file)
        if content is None:
            handler.send_plain(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
        elif file.endswith(LARGE):
            digest = hashlib.sha256(content).hexdigest()
            handler.send_plain(
                302,
                Location=f"http://127.0.0.1:{self.storage_port}/{name}/{repo.commit}/{file}?signature=1",
                X_Repo_Commit=repo.commit,
                X_Linked_Size=str(len(content)),
                X_Linked_ETag=f'"{digest}"',
            )
        else:
            handler.send_bytes(content, file, X_Repo_Commit=repo.commit)

    def _stored(self, handler: Handler, path: str) -> None:
        _, owner, name, _, file = path.split("/", 4)
        handler.send_bytes(self.repos[f"{owner}/{name}"].files[file], file)


def _sibling(file: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
    entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": blob}
    if file.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        entry |= {"lfs": {"sha256": digest, "size": len(content), "pointerSize": 134}}
    return entry
