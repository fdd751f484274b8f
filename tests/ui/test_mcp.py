"""MCP by a flag: a real MCP client lists the tools and calls them; without its package that is said."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from ..running_app import ROOT, App, free_port
from .conftest import PublicApp
from .test_api import PUBLIC
from .visitor import Visitor


def with_client(app: App, do: Callable[[ClientSession], Awaitable[Any]], headers: dict[str, str] | None = None) -> Any:
    """What `do` returns, run in a session of a real MCP client."""

    async def talk() -> Any:
        async with (
            httpx.AsyncClient(headers=headers, timeout=240, trust_env=False) as http,
            streamable_http_client(f"{app.url}/gradio_api/mcp/", http_client=http) as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            return await do(session)

    return asyncio.run(talk())


def test_the_tools_are_the_public_endpoints(home_app: App) -> None:
    tools = with_client(home_app, lambda session: session.list_tools()).tools
    assert {tool.name for tool in tools} == set(PUBLIC)
    for tool in tools:
        assert len(tool.description or "") > 20, tool.name
        for name, what in tool.inputSchema["properties"].items():
            assert what.get("description"), f"{tool.name}.{name}"
    chat = next(tool for tool in tools if tool.name == "chat")
    assert chat.inputSchema["required"] == ["message"]
    assert chat.description.startswith("Answer a message with a language model")


def test_a_tool_answers(home_app: App) -> None:
    async def both(session: ClientSession) -> tuple[Any, Any]:
        language = await session.call_tool("detect_language", {"text": "Das ist ein schöner Tag."})
        answer = await session.call_tool("chat", {"message": "Say hello.", "sampling": {"max_new_tokens": 8}})
        return language, answer

    language, answer = with_client(home_app, both)
    assert not language.isError
    assert "'de'" in language.content[0].text
    assert not answer.isError
    assert answer.content[0].text.strip()


def test_what_goes_wrong_is_said(home_app: App) -> None:
    result = with_client(home_app, lambda session: session.call_tool("chat", {"message": " "}))
    assert result.isError
    assert "`message` is empty. Give it a text." in result.content[0].text
    unknown = with_client(home_app, lambda session: session.call_tool("_act", {}))
    assert unknown.isError


def test_a_private_event_is_no_tool(home_app: App) -> None:
    names = {tool.name for tool in with_client(home_app, lambda session: session.list_tools()).tools}
    private = {
        e["api_name"] for e in Visitor(home_app.url).config()["dependencies"] if e["api_visibility"] == "private"
    }
    assert private
    assert names & private == set()


def called(app: App, tool: str, arguments: dict[str, Any], headers: dict[str, str] | None = None) -> str:
    """What a tool says, well or not."""
    result = with_client(app, lambda session: session.call_tool(tool, arguments), headers)
    return str(result.content[0].text)


def test_strangers_by_mcp_are_strangers(public_app: PublicApp) -> None:
    app, victim = public_app.app, public_app.victim
    assert "are for the owner of this app" in called(app, "unload", {"model": "smollm2-135m-instruct"})
    assert "or it is not yours" in called(app, "job", {"job_id": victim.job})
    assert called(app, "jobs", {}) == "[]"
    assert victim.adapter not in called(app, "models", {})
    assert "2,000 are allowed at once" in called(app, "detect_language", {"text": "word " * 500})


def test_mcp_clients_name_themselves_by_the_same_headers(public_app: PublicApp) -> None:
    app, victim = public_app.app, public_app.victim
    assert victim.job in called(app, "jobs", {}, {"X-Llmapp-Owner": victim.token})
    # The next one without a name is not taken for the one before, though Gradio calls with one session for all.
    assert called(app, "jobs", {}) == "[]"
    key = {"X-Llmapp-Key": app.key}
    assert "unloaded" in called(app, "unload", {"model": "smollm2-135m-instruct"}, key)
    assert "403 Forbidden" in called(app, "finetune", {"dataset": "https://example.org/rows.csv"}, key)
    refused = called(app, "finetune", {"dataset": {"path": "/etc/passwd"}}, key)
    assert "Input validation error" in refused


def test_without_the_flag_there_is_none(space_app: App) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    assert Visitor(space_app.url).http.post("/gradio_api/mcp/", json=call).status_code in (404, 405)


def started(tmp_path: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """The app, started to its end."""
    command = [sys.executable, *arguments, "app.py", "--mcp", "--no-browser", "--port", str(free_port())]
    return subprocess.run(
        [*command, "--data-dir", str(tmp_path / "data")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_wrong_major_of_mcp_is_said(tmp_path: Path) -> None:
    """A package that says so of itself, found before the installed one."""
    info = tmp_path / "path" / "mcp-2.3.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mcp\nVersion: 2.3.0\n")
    ended = started(tmp_path, path=str(info.parent))
    assert ended.returncode == 2
    assert ended.stderr.startswith("MCP needs `mcp` below version 2, but 2.3.0 is installed: run `pip install")
    assert "Traceback" not in ended.stderr


def test_a_missing_mcp_is_said(tmp_path: Path) -> None:
    """A Python that does not see the installed package, as if it were not there."""
    hidden = tmp_path / "path"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Without(PathFinder):\n"
        "    @classmethod\n"
        "    def find_distributions(cls, *context):\n"
        "        return (d for d in PathFinder.find_distributions(*context) if d.name != 'mcp')\n"
        "sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]\n"
    )
    ended = started(tmp_path, path=str(hidden))
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("MCP needs the `mcp` package: run `pip install")


@pytest.mark.parametrize("flag", [(), ("--no-browser",)])
def test_nobody_asks_for_mcp_who_does_not_want_it(flag: tuple[str, ...]) -> None:
    from llmapp.settings import read_settings
    from llmapp.ui.http import mcp_wanted

    assert mcp_wanted(read_settings(list(flag), {})) is False
    assert mcp_wanted(read_settings(["--mcp"], {})) is True
