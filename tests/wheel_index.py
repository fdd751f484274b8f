"""A package index (PEP 503) on 127.0.0.1, and wheels and source archives made on the spot for it."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

from .file_server import FileServer, Handler, Seen


@dataclass
class WheelIndex(FileServer):
    """`files["name-1.0-py3-none-any.whl"]`; `login` is `user:password` where one is needed."""

    files: dict[str, bytes] = field(default_factory=dict)
    login: str = ""

    @property
    def index(self) -> str:
        """What pip's `index-url` would be."""
        return f"http://{self.login}@127.0.0.1:{self.port}/simple" if self.login else f"{self.url}/simple"

    def fetched(self, name: str) -> list[Seen]:
        """GET requests for a file by anybody but pip, which may look into it."""
        return [seen for seen in self.gets(name) if not _of_pip(seen.headers)]

    def read_by_pip(self, name: str) -> int:
        """Bytes of a file that pip has fetched."""
        return sum(seen.sent for seen in self.gets(name) if _of_pip(seen.headers))

    def answer(self, handler: Handler) -> None:
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if self.login and handler.headers.get("Authorization") != wanted:
            handler.send_plain(401, WWW_Authenticate='Basic realm="index"')
            return
        folder, _, name = handler.path.strip("/").partition("/")
        if folder == "simple":
            handler.send_plain(200, self._page(name).encode(), Content_Type="text/html")
        elif folder == "files" and name in self.files:
            handler.send_bytes(self.files[name], name, faulty=not _of_pip(handler.headers))
        else:
            handler.send_plain(404)

    def _page(self, project: str) -> str:
        links = [
            f'<a href="/files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
            for name, content in self.files.items()
            if name.partition("-")[0].replace("_", "-") == project.strip("/")
        ]
        return f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>"


def _of_pip(headers: Mapping[str, str]) -> bool:
    return headers.get("User-Agent", "").startswith("pip/")


def wheel(name: str, version: str, files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """File name and bytes of a wheel that holds these files."""
    module, out = name.replace("-", "_"), io.BytesIO()
    info = f"{module}-{version}.dist-info"
    facts = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in {**facts, **files}.items():
            archive.writestr(path, content)
    return f"{module}-{version}-py3-none-any.whl", out.getvalue()


def sdist(name: str, version: str, setup: str) -> tuple[str, bytes]:
    """File name and bytes of a source archive with this setup.py."""
    out, folder = io.BytesIO(), f"{name}-{version}"
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in {"setup.py": setup, "PKG-INFO": f"Name: {name}\nVersion: {version}\n"}.items():
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return f"{folder}.tar.gz", out.getvalue()
