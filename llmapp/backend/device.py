"""What this machine has to compute with, and in which precision a model is best held on it.

Decisions take values and return a reason, so they are tested for machines that are not here. Loads no model.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from ..catalog import Model
from ..errors import CanNotRun
from ..messages import Message, message
from . import cgroup
from .engine import Precision
from .loader import has_quantizer

DeviceName = Literal["cpu", "cuda", "mps"]
Half = Literal["bf16", "fp16"]
COMPUTE: Mapping[str, Literal["float32", "bfloat16", "float16"]] = {
    "fp32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
}

BF16_CAPABILITY = (8, 0)
"""Ampere: the first cards with bf16 units (CUDA C++ programming guide, compute capabilities)."""

QUANTIZER_CAPABILITY = (6, 0)
"""The least card for 4-bit (README of bitsandbytes 0.50, accelerator support)."""

QUANTIZER_FEATURES = frozenset({"avx2", "asimd"})
"""What a processor needs for 4-bit: AVX2 on x86, the same README; on 64-bit ARM its SIMD unit, always there."""

BF16_FEATURES = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Processors that multiply in bf16; others only emulate it."""

OVERFLOWS_FP16 = ("gemma", "t5", "mt5")
"""Families whose activations leave fp16's range (65,504): transformers issues 36822 (Gemma 3), 9295 (T5, mT5)."""

NO_CARD = message("reason.torch_no_card")

SMALL_SHARE = 0.25
"""An encoder that takes no more than this share of a card's free memory is not worth quantizing."""


@dataclass(frozen=True)
class CudaDevice:
    """One graphics card. Memory in bytes; `free` was true when it was asked."""

    name: str
    capability: tuple[int, int]
    free: int
    total: int

    @property
    def half(self) -> Half:
        """The 16-bit type that it computes fast in."""
        return "bf16" if self.capability >= BF16_CAPABILITY else "fp16"


@dataclass(frozen=True)
class Hardware:
    """What there is, and `device`: which of it computes. `ram` is in bytes, the container's limit included.

    `quantizer`: the package that packs weights into 4 bits is installed.
    """

    device: DeviceName
    cuda: tuple[CudaDevice, ...] = ()
    mps: bool = False
    cores: int = 1
    features: frozenset[str] = frozenset()
    ram: int = 0
    quantizer: bool = True


def detect(wish: str = "auto") -> Hardware:
    """Look at this machine. `wish` is one of `settings.DEVICES`.

    Imports torch only where there is a sign of a graphics card, or where one is asked for: that takes seconds.
    Raises CanNotRun, with the reason, when the wished device is not there.
    """
    look = wish in ("cuda", "mps") or (wish == "auto" and _sign_of_accelerator())
    cuda, mps, problem = _accelerators() if look else ((), False, NO_CARD)
    return Hardware(
        device=pick_device(wish, cuda, mps, problem),
        cuda=cuda,
        mps=mps,
        cores=_cores(),
        features=_cpu_features(),
        ram=_ram(),
        quantizer=has_quantizer(),
    )


def pick_device(wish: str, cuda: tuple[CudaDevice, ...], mps: bool, problem: Message) -> DeviceName:
    """The device to compute on: the wished one, else CUDA before MPS before the processor.

    Raises CanNotRun for a wished device that is not there; `problem` says why, as torch sees it.
    """
    if wish == "cuda" and not cuda:
        raise CanNotRun("device_cuda", problem=problem)
    if wish == "mps" and not mps:
        raise CanNotRun("device_mps", problem=problem)
    if wish == "cuda" or (wish == "auto" and cuda):
        return "cuda"
    return "mps" if wish == "mps" or (wish == "auto" and mps) else "cpu"


def available_memory(hardware: Hardware) -> int:
    """Bytes free right now where weights would lie: on the card, else in main memory within the container.

    Page cache counts as free, except the files this process has mapped: they are its own loaded weights.
    """
    if hardware.device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(0)[0])
    free: int = psutil.virtual_memory().available
    limit = cgroup.room()
    return max(0, (free if limit is None else min(free, limit.free)) - _mapped())


def choose_precision(model: Model, hardware: Hardware, wish: str = "auto") -> Precision:
    """How to hold a model's weights here, with the reason. `wish` is one of `settings.PRECISIONS`.

    Left to itself: 4-bit NF4 on CUDA (an encoder that is small there stays fp32: it has little to quantize and
    much accuracy to lose), fp16 on MPS, fp32 on a processor. Raises CanNotRun for a wish that can not work.
    """
    if model.family == "linear":
        return Precision("fp32", "float32", "cpu", message("reason.precision_linear"))
    if wish == "auto":
        deciders = {"cuda": _on_cuda, "mps": _on_mps, "cpu": _on_cpu}
        return deciders[hardware.device](model, hardware)
    _refuse_impossible(model, hardware, wish)
    if wish == "4bit":
        compute = _compute_kind(model, hardware)
        why = message("reason.precision_wish_4bit", compute=compute)
        return Precision("4-bit", COMPUTE[compute], hardware.device, why)
    slow = wish != "fp32" and hardware.device == "cpu" and not _multiplies(wish, hardware)
    why = message("reason.precision_wish_slow" if slow else "reason.precision_wish", kind=wish)
    kind: Literal["fp32", "bf16", "fp16"] = "fp32" if wish == "fp32" else "bf16" if wish == "bf16" else "fp16"
    return Precision(kind, COMPUTE[wish], hardware.device, why)


def _on_cuda(model: Model, hardware: Hardware) -> Precision:
    card = hardware.cuda[0]
    fp32_bytes = 4 * model.parameters
    if model.kind in ("encoder", "classifier") and fp32_bytes <= SMALL_SHARE * card.free:
        why = message("reason.precision_small_encoder", size_mb=fp32_bytes / 1e6)
        return Precision("fp32", "float32", "cuda", why)
    compute = _compute_kind(model, hardware)
    values = {"card": card.name, "free_gb": card.free / 1e9, "compute": compute}
    if not hardware.quantizer or card.capability < QUANTIZER_CAPABILITY:
        return Precision(compute, COMPUTE[compute], "cuda", message("reason.precision_cuda_no_4bit", **values))
    code = "reason.precision_cuda_overflow" if compute == "fp32" else "reason.precision_cuda"
    return Precision("4-bit", COMPUTE[compute], "cuda", message(code, **values))


def _on_mps(model: Model, hardware: Hardware) -> Precision:
    del hardware
    if _overflows(model):
        return Precision("fp32", "float32", "mps", message("reason.precision_mps_overflow"))
    return Precision("fp16", "float16", "mps", message("reason.precision_mps"))


def _on_cpu(model: Model, hardware: Hardware) -> Precision:
    del model, hardware
    return Precision("fp32", "float32", "cpu", message("reason.precision_cpu"))


def _compute_kind(model: Model, hardware: Hardware) -> Literal["fp32", "bf16", "fp16"]:
    """What 4-bit weights are unpacked to. A processor computes in fp32: exact, and no slower than bf16 there."""
    if hardware.device == "cpu":
        return "fp32"
    half = hardware.cuda[0].half
    return "fp32" if half == "fp16" and _overflows(model) else half


def _overflows(model: Model) -> bool:
    return model.family.startswith(OVERFLOWS_FP16)


def _multiplies(kind: str, hardware: Hardware) -> bool:
    wanted = BF16_FEATURES if kind == "bf16" else frozenset({"avx512_fp16", "asimdhp"})
    return bool(wanted & hardware.features)


def _refuse_impossible(model: Model, hardware: Hardware, wish: str) -> None:
    card = hardware.cuda[0] if hardware.device == "cuda" else None
    if wish == "4bit":
        _refuse_4bit(hardware, card)
    if wish == "bf16" and card and card.half != "bf16":
        raise CanNotRun("precision_bf16_card", card=card.name, capability=_dotted(card.capability))
    if wish == "bf16" and hardware.device == "mps":
        raise CanNotRun("precision_bf16_mps")
    if wish == "fp16" and _overflows(model):
        raise CanNotRun("precision_fp16_overflow", model=model.name)


def _refuse_4bit(hardware: Hardware, card: CudaDevice | None) -> None:
    if hardware.device == "mps":
        raise CanNotRun("precision_4bit_mps")
    if not hardware.quantizer:
        raise CanNotRun("precision_4bit_package")
    if card and card.capability < QUANTIZER_CAPABILITY:
        raise CanNotRun("precision_4bit_card", card=card.name, capability=_dotted(card.capability))
    if hardware.device == "cpu" and not QUANTIZER_FEATURES & hardware.features:
        raise CanNotRun("precision_4bit_cpu")


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def _sign_of_accelerator() -> bool:
    """True where a driver's device file or library says that asking torch may be worth it."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return (Path(r"C:\Windows\System32") / "nvcuda.dll").exists()
    return any(Path(name).exists() for name in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


def _accelerators() -> tuple[tuple[CudaDevice, ...], bool, Message]:
    """CUDA cards, whether MPS works, and what to say when something that was wished for is missing."""
    import torch

    mps = torch.backends.mps.is_available()
    if not torch.cuda.is_available():
        built = torch.version.cuda or torch.version.hip
        return (), mps, NO_CARD if built else message("reason.torch_without_cuda", version=torch.__version__)
    return tuple(_card(index) for index in range(torch.cuda.device_count())), mps, NO_CARD


def _card(index: int) -> CudaDevice:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    return CudaDevice(torch.cuda.get_device_name(index), torch.cuda.get_device_capability(index), free, total)


def _cores() -> int:
    try:
        return len(psutil.Process().cpu_affinity()) or 1
    except AttributeError:  # macOS has no affinity
        return psutil.cpu_count(logical=False) or 1


def _ram() -> int:
    total: int = psutil.virtual_memory().total
    limit = cgroup.room()
    return total if limit is None else min(total, limit.limit)


def _mapped() -> int:
    return int(getattr(psutil.Process().memory_info(), "shared", 0))


def _cpu_features() -> frozenset[str]:
    """Instruction sets by the kernel's names: avx2, avx512f, avx512_bf16, amx_bf16, asimd, ..."""
    if sys.platform == "win32":
        # PF_AVX2_INSTRUCTIONS_AVAILABLE and PF_AVX512F_INSTRUCTIONS_AVAILABLE of winnt.h
        known = {"avx2": 40, "avx512f": 41}
        present = ctypes.windll.kernel32.IsProcessorFeaturePresent
        return frozenset(name for name, number in known.items() if present(number))
    if sys.platform == "darwin":
        return frozenset({"asimd", "asimdhp"} if platform.machine() == "arm64" else {"avx2"})
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    return features_of(text)


def features_of(cpuinfo: str) -> frozenset[str]:
    """The flags of the first processor in the text of /proc/cpuinfo (x86 says "flags", ARM "Features")."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()
