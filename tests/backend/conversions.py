"""What the tests of the conversion share: texts of all kinds, how a folder is read, and what a tiny file is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from llmapp.backend.progress import Progress
from tests.tiny import CORPUS, tiny_causal
from tests.tiny_gguf import write_gguf

TEXTS = (
    *CORPUS,
    "The year 2024 had 366 days; 1,000,000 people, π is 3.14159.",
    "1 2  3   4\n 5\n\n67\t89",
    "  leading and   trailing  ",
    "def f(x):\n    return {'a': [x ** 2, 10]}  # done\n\n\n",
    "你好，世界！价格￥4500元，日本語テキスト。",
    "😀👍🏽🇺🇸 and ❤️ café naïve Ångström é",
    "I'm you're DON'T it's <|im_start|>user\nhi<|im_end|>",
    "٣٤٥ ½ Ⅷ ² \u00a0\u2009\u3000wide\r\n\ttab",
    "",
    " ",
)


def silent(progress: Progress) -> None:
    """Nobody looks."""


def loaded(folder: Path, **options: Any) -> tuple[Any, Any]:
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
    return model, transformers.AutoTokenizer.from_pretrained(folder, **options)


def ids(tokenizer: Any, texts: tuple[str, ...] | list[str] = TEXTS) -> list[list[int]]:
    return [tokenizer(text)["input_ids"] for text in texts]


def logits(model: Any, numbers: list[int]) -> Any:
    import torch

    with torch.no_grad():
        return model(torch.tensor([numbers])).logits


def greedy(model: Any, tokenizer: Any, text: str, most: int = 12) -> str:
    import torch

    numbers = torch.tensor([tokenizer(text)["input_ids"]])
    written = model.generate(numbers, attention_mask=torch.ones_like(numbers), do_sample=False, max_new_tokens=most)
    return str(tokenizer.decode(written[0, numbers.shape[1] :], skip_special_tokens=True))


def original(folder: Path, family: str) -> Path:
    """A tiny model; a GGUF can not say Gemma's query scale, which is always a head's width in the small ones."""
    tiny_causal(folder, family)
    if family == "gemma3":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "query_pre_attn_scalar": config["head_dim"]}))
    return folder


def big_gguf(folder: Path) -> Path:
    """A tiny model with wide layers: 300 MB as fp32, so that there is time to look and to kill."""
    source = original(folder / "original", "llama")
    config = json.loads((source / "config.json").read_text()) | {"intermediate_size": 1 << 18}
    (source / "config.json").write_text(json.dumps(config))
    wide = np.zeros((1 << 18, 64), np.float16)
    more = {}
    for layer in range(2):
        more |= {f"blk.{layer}.ffn_{name}.weight": wide for name in ("gate", "up")}
        more[f"blk.{layer}.ffn_down.weight"] = wide.reshape(64, -1)
    return write_gguf(source, folder / "big.gguf", "llama", more=more)


def pieces_of(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir() if path.name.startswith(f".{target.name}")]
