"""The app's settings: one frozen dataclass, read from the environment and the command line.

The only file that reads the environment. Every field carries its flag, its variable and its help text's code.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_data_path

from .errors import BadInput
from .messages import say

OwnersMode = Literal["one", "browser", "login"]
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "bf16", "fp16", "4bit")
OWNERS = ("one", "browser", "login")
ONE_PERSON = "me"
"""Whose all is where there is one person: at the keyboard, on the page and on the command line."""


def _setting(default: Any, flag: str, env: str = "", choices: tuple[str, ...] = ()) -> Any:
    return field(default=default, metadata={"flag": flag, "env": env, "choices": choices})


@dataclass(frozen=True)
class AppSettings:
    """What the app is told at start. Sizes in MB (10^6 bytes), rates per minute and owner."""

    host: str = _setting("127.0.0.1", "--host", "GRADIO_SERVER_NAME")
    port: int = _setting(7860, "--port", "GRADIO_SERVER_PORT")
    browser: bool = _setting(True, "--no-browser", "LLMAPP_BROWSER")
    data_dir: Path = _setting(user_data_path("llmapp", appauthor=False), "--data-dir", "LLMAPP_DATA_DIR")
    device: str = _setting("auto", "--device", "LLMAPP_DEVICE", DEVICES)
    precision: str = _setting("auto", "--precision", "LLMAPP_PRECISION", PRECISIONS)
    offline: bool = _setting(False, "--offline", "LLMAPP_OFFLINE")
    owners: str = _setting("", "--owners", "LLMAPP_OWNERS", OWNERS)
    mcp: bool = _setting(False, "--mcp", "GRADIO_MCP_SERVER")
    strangers_manage: bool = _setting(False, "--strangers-manage", "LLMAPP_STRANGERS_MANAGE")
    max_upload_mb: int = _setting(50, "--max-upload-mb", "LLMAPP_MAX_UPLOAD_MB")
    max_chars: int = _setting(200_000, "--max-chars", "LLMAPP_MAX_CHARS")
    max_requests: int = _setting(60, "--max-requests", "LLMAPP_MAX_REQUESTS")
    max_disk_mb: int = _setting(500, "--max-disk-mb", "LLMAPP_MAX_DISK_MB")
    hub_offline: bool = _setting(False, "", "HF_HUB_OFFLINE")
    hub_endpoint: str = _setting("https://huggingface.co", "", "HF_ENDPOINT")
    hub_token: str = field(default="", repr=False, metadata={"flag": "", "env": "HF_TOKEN", "choices": ()})
    space_id: str = _setting("", "", "SPACE_ID")
    space_author: str = _setting("", "", "SPACE_AUTHOR_NAME")
    space_host: str = _setting("", "", "SPACE_HOST")
    system: str = _setting("", "", "SYSTEM")
    oauth_client: str = _setting("", "", "OAUTH_CLIENT_ID")
    oauth_secret: str = field(
        default="", repr=False, metadata={"flag": "", "env": "OAUTH_CLIENT_SECRET", "choices": ()}
    )

    def __post_init__(self) -> None:
        for item in fields(self):
            choices = item.metadata["choices"]
            value = getattr(self, item.name)
            if choices and value and value not in choices:
                raise BadInput("setting_choice", name=_name(item), value=value, choices=", ".join(choices))
            if item.type == "int" and value < 1:
                raise BadInput("setting_positive", name=_name(item), value=value)
        if self.port > 65535:
            raise BadInput("setting_port", value=self.port)
        if self.owners == "login" and not self.can_sign_in:
            raise BadInput("setting_login")
        if not self.owners:
            object.__setattr__(self, "owners", self._usual_owners())
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().absolute())

    def _usual_owners(self) -> OwnersMode:
        if self.can_sign_in:
            return "login"
        return "one" if self.private else "browser"

    @property
    def on_space(self) -> bool:
        """True on a Hugging Face Space, which sets SPACE_ID."""
        return bool(self.space_id)

    @property
    def can_sign_in(self) -> bool:
        """True on a Space with `hf_oauth`. Elsewhere Gradio only plays a sign-in, which proves nothing.

        SYSTEM is what Gradio goes by; without a secret its session cookie could be signed by anybody.
        """
        return self.on_space and self.system == "spaces" and bool(self.oauth_client and self.oauth_secret)

    @property
    def on_loopback(self) -> bool:
        """True when only this machine can reach the page."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def private(self) -> bool:
        """True when whoever reaches the page is the person at the keyboard."""
        return self.on_loopback and not self.on_space

    @property
    def may_use_hub(self) -> bool:
        """False when told to stay away from the Hub."""
        return not (self.offline or self.hub_offline)

    def environment(self) -> dict[str, str]:
        """This process's environment with these settings in it: a child finds them by `read_settings([])`."""
        own = {item.metadata["env"]: _written(getattr(self, item.name)) for item in fields(self)}
        return {**os.environ, **{name: value for name, value in own.items() if name}}


def _name(item: Any) -> str:
    return str(item.metadata["flag"] or item.metadata["env"])


def _truth(value: str) -> bool:
    return value.strip().lower() in ("1", "true", "yes", "on")


def _written(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _typed(item: Any, value: str) -> Any:
    if item.type == "bool":
        return _truth(value)
    if item.type == "int":
        try:
            return int(value)
        except ValueError:
            raise BadInput("setting_number", name=_name(item), value=value) from None
    return Path(value) if item.type == "Path" else value


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for item in fields(AppSettings):
        value = environ.get(item.metadata["env"], "") if item.metadata["env"] else ""
        if value:
            found[item.name] = _typed(item, value)
    if found.get("space_id"):
        found.setdefault("host", "0.0.0.0")  # noqa: S104  what a Space's proxy expects
        found["browser"] = False
        found.setdefault("data_dir", Path("/data/llmapp") if Path("/data").is_dir() else Path("llmapp-data"))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description=say("settings.about"))
    for item in fields(AppSettings):
        flag, env = item.metadata["flag"], item.metadata["env"]
        if not flag:
            continue
        options: dict[str, Any] = {"dest": item.name, "default": None}
        options["help"] = f"{say(f'settings.{item.name}')} [{env}]" if env else say(f"settings.{item.name}")
        if item.type == "bool":
            options |= {"action": "store_const", "const": not item.default}
        elif item.metadata["choices"]:
            options |= {"choices": item.metadata["choices"]}
        else:
            options |= {"metavar": item.name.upper()}
        parser.add_argument(flag, **options)
    return parser


def read_settings(argv: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> AppSettings:
    """Settings from defaults, then the environment, then the command line.

    Raises BadInput, naming the flag or variable and its value, for what can not be.
    """
    given = vars(_parser().parse_args(argv))
    values = _from_environment(os.environ if environ is None else environ)
    for item in fields(AppSettings):
        value = given.get(item.name)
        if value is not None:
            values[item.name] = _typed(item, value) if isinstance(value, str) else value
    return AppSettings(**values)
