"""The training loop: LoRA on all linear layers, and a classifier's head, from the first step to the best state.

Knows torch models, steps and checkpoints; says how far it is through a callback, and asks another whether to stop.
What is learned is an `Objective`'s to know. Does not know files of rows, jobs or the page. The same seed on the same
machine gives the same weights, whether or not it was stopped and went on: every step draws its own random numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BadInput
from .batching import batches
from .checkpoint import Checkpoints
from .gradients import Gradients, computing
from .lowering import Lowered, Lowering
from .objective import Objective
from .rehearsal import Rehearsal, peak_bytes, seconds_of
from .settings import LoraSettings
from .told import Broke, Look, Outcome, Report, Step

if TYPE_CHECKING:
    import torch

WARMUP = 0.06
WEIGHT_DECAY = 0.01
CLIP = 1.0
LOOKS, LEAST_LOOKS, STEPS_BETWEEN = 10, 4, 30
"""How often a training looks at the rows kept to choose the best state with: a look costs as much as some steps."""
PATIENCE = 4
"""Looks without a better one before it ends."""
SAVE_EVERY_S = 60.0
KEPT_OF_A_WEIGHT = 3
"""What a training keeps beside each weight that learns: Adam's two moments, and the best state."""


def lora_config(settings: LoraSettings, fresh: Sequence[str] = (), task: str = "SEQ_CLS") -> Any:
    """LoRA on every linear layer; what is `fresh`, a new head, learns whole. `task` is peft's name for what it does:
    SEQ_CLS sorts, CAUSAL_LM writes.
    """
    from peft import LoraConfig

    return LoraConfig(
        task_type=task,
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules="all-linear",
        modules_to_save=list(fresh) or None,
    )


def with_lora(model: Any, settings: LoraSettings, fresh: Sequence[str] = (), task: str = "SEQ_CLS") -> Any:
    """The model with that LoRA, which learns; the rest is frozen."""
    import torch
    from peft import get_peft_model

    from .dropout import with_fast_dropout

    torch.manual_seed(settings.seed)
    return with_fast_dropout(get_peft_model(model, lora_config(settings, fresh, task)))


def train(
    model: Any,
    objective: Objective,
    settings: LoraSettings,
    steps: int,
    checkpoints: Path,
    report: Report,
    stop: Callable[[], bool],
    compute: str = "float32",
    room: Callable[[], int] | None = None,
) -> Outcome:
    """Train a model made by `with_lora` for at most `steps`, going on from the newest checkpoint that is there.

    `compute` is the number format of the forward pass ("bfloat16", or float32 for exact). Leaves the best state in
    the model, or the newest when told to stop. Before it begins it is made to fit into `room`, the bytes that are free,
    as `lowering` says, and lowered again where memory runs out all the same. Where the loss is no longer a number it
    ends with the best state; raises BadInput where there is none, and OutOfMemory.
    """
    run = _Run(model, objective, settings, steps, checkpoints, Gradients(model, objective, compute, report), room)
    run.restore()
    if not run.step:
        report("rehearsing")
        for seen in run.rehearse():
            report(seen)
    report("training")
    while run.step < steps and not (run.early or run.broke):
        if stop():
            run.save()
            return run.outcome(finished=False)
        report(run.forward())
        if not run.broke and (run.step % run.look_every == 0 or run.step == steps):
            report(run.look())
        run.save_in_time()
    run.save()
    run.take_best()
    return run.outcome(finished=True)


def hash_of(data: Any) -> str:
    """Hex digest of anything JSON can hold."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _fill(weights: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    import torch

    with torch.no_grad():
        for name, tensor in values.items():
            weights[name].copy_(tensor)


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


class _Run:
    """A training under way: model, optimizer, and what it must know to go on after a stop."""

    def __init__(
        self,
        model: Any,
        objective: Objective,
        settings: LoraSettings,
        steps: int,
        checkpoints: Path,
        gradients: Gradients,
        room: Callable[[], int] | None = None,
    ) -> None:
        import torch

        self.model, self.settings, self.steps = model, settings, steps
        self.step, self.early, self.broke = 0, False, False
        self.look_every = max(1, round(steps / min(LOOKS, max(LEAST_LOOKS, steps // STEPS_BETWEEN))))
        self._checkpoints = Checkpoints(checkpoints)
        self._gradients, self._room = gradients, room
        self._learn_from(objective)
        self._weights = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._optimizer = torch.optim.AdamW(self._weights.values(), weight_decay=WEIGHT_DECAY)
        self._best: dict[str, torch.Tensor] = {}
        self._best_look = Look(0, math.inf, {}, (), False)
        self._stale_looks = 0
        self._rehearsal: Rehearsal | None = None
        self._peak = 0
        self._saved_at = self._began = time.monotonic()
        shapes = {name: list(p.shape) for name, p in self._weights.items()}
        self._fingerprint = hash_of([objective.key(), asdict(settings), steps, shapes])
        """What must be equal for a checkpoint to be one of this training."""

    def _learn_from(self, objective: Objective) -> None:
        self.objective = self._gradients.objective = objective
        self._plan = self._planned(objective)

    def _planned(self, objective: Objective) -> list[list[int]]:
        return batches(objective.lengths, self.settings.batch, self.steps, self.settings.seed)

    def _costs(self) -> list[int]:
        """Tokens of each step, what fills its rows up included."""
        lengths = self.objective.lengths
        return [len(chosen) * max(lengths[i] for i in chosen) for chosen in self._plan]

    def rehearse(self) -> Iterator[Lowered | Look | Rehearsal]:
        """Make it fit, look at what it is untaught, try three steps without learning from them, reckon time and memory.

        Raises OutOfMemory where nothing makes it fit.
        """
        self._peak = max(self._peak, peak_bytes())
        kept = KEPT_OF_A_WEIGHT * sum(p.numel() * p.element_size() for p in self._weights.values())
        lowering = Lowering(self._gradients, self._planned, kept, self._room)
        yield from lowering.settle()
        self._learn_from(self._gradients.objective)
        began = time.monotonic()
        yield replace(self._seen(), best=False)
        looks = (time.monotonic() - began) * (1 + self.steps // self.look_every)
        seconds = seconds_of(self._costs(), self._tried) + looks + time.monotonic() - self._began
        how = (self._gradients.parts, self._gradients.recomputing, lowering.tokens, lowering.rows)
        peak = max(self._peak, lowering.peak, peak_bytes() + kept)
        self._rehearsal = Rehearsal(seconds, peak, lowering.free, *how)
        yield self._rehearsal

    def _tried(self, step: int) -> float:
        """Seconds of the gradients of one step, which are thrown away."""
        began = time.monotonic()
        if not math.isfinite(self._gradients.of(self._plan[step], step)):
            raise self._nan()
        self._optimizer.zero_grad()
        return time.monotonic() - began

    def forward(self) -> Step | Broke:
        """One step: loss of one batch, gradients, new weights. Weights that are no numbers are never taken."""
        import torch

        chosen = self._plan[self.step]
        loss = self._gradients.of(chosen, self.settings.seed * 1_000_003 + self.step)
        norm = torch.nn.utils.clip_grad_norm_(self._weights.values(), CLIP).item()
        if not math.isfinite(loss) or not math.isfinite(norm):
            return self._break()
        self._optimizer.param_groups[0]["lr"] = self._learning_rate()
        self._optimizer.step()
        self._optimizer.zero_grad()
        self.step += 1
        return Step(self.step, self.steps, loss, len(chosen))

    def _break(self) -> Broke:
        """The end of it, with the best state; an error where there is none yet."""
        self._optimizer.zero_grad()
        if not self._best:
            raise self._nan()
        self.broke = True
        return Broke(self.step + 1, self._best_look.step, self.settings.learning_rate)

    def _nan(self) -> BadInput:
        return BadInput("training_nan", step=self.step + 1, rate=self.settings.learning_rate)

    def look(self) -> Look:
        """Score the rows kept for choosing; remember the weights when none were as good."""
        look = self._seen()
        best = look.best
        if best:
            self._best = {name: p.detach().clone() for name, p in self._weights.items()}
            self._best_look = look
        self._stale_looks = 0 if best else self._stale_looks + 1
        self.early = self._stale_looks >= PATIENCE and self.step < self.steps
        return look

    def _seen(self) -> Look:
        with computing(self.model, self._gradients.compute):
            seen = self.objective.look(self.model, self._gradients.parts)
        best = math.isfinite(seen.loss) and seen.rank > tuple(self._best_look.rank)
        return Look(self.step, seen.loss, seen.scores, seen.rank, best, seen.samples)

    def take_best(self) -> None:
        """Put the best state into the model."""
        if not self._best:
            raise self._nan()
        _fill(self._weights, self._best)

    def outcome(self, finished: bool) -> Outcome:
        """How it stands."""
        best = self._best_look
        seconds = time.monotonic() - self._began
        peak = max(self._peak, peak_bytes())
        cost = (self._rehearsal, peak, self._gradients.parts, sum(self._costs()[: self.step]))
        return Outcome(self.step, best.step, best.scores, seconds, finished, self.early, *cost)

    def save_in_time(self) -> None:
        """A checkpoint, where the last one is a minute old."""
        if time.monotonic() - self._saved_at > SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """A checkpoint of all it takes to go on as if nothing had happened."""
        adam = self._optimizer.state
        tensors = {f"now.{name}": p.detach() for name, p in self._weights.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        tensors |= {f"adam.{key}.{name}": adam[p][key] for name, p in self._weights.items() for key in adam.get(p, {})}
        position: dict[str, Any] = {"step": self.step, "stale_looks": self._stale_looks, "early": self.early}
        position |= {"broke": self.broke, "parts": self._gradients.parts, "recomputing": self._gradients.recomputing}
        position["seconds"] = time.monotonic() - self._began
        position["peak"] = max(self._peak, peak_bytes())
        position["rehearsal"] = asdict(self._rehearsal) if self._rehearsal else None
        look = asdict(self._best_look)
        self._checkpoints.save(self.step, tensors, {**position, "look": look, "fingerprint": self._fingerprint})
        self._saved_at = time.monotonic()

    def restore(self) -> None:
        """Go on from the newest checkpoint of this same training, if there is one."""
        found = self._checkpoints.newest(self._fingerprint)
        if not found:
            return
        tensors, state = found
        _fill(self._weights, _part(tensors, "now."))
        self._best = _part(tensors, "best.")
        for key in ("step", "exp_avg", "exp_avg_sq"):
            for name, tensor in _part(tensors, f"adam.{key}.").items():
                weight = self._weights[name]
                self._optimizer.state[weight][key] = tensor if key == "step" else tensor.to(weight.device)
        self.step, self._stale_looks, self.early = state["step"], state["stale_looks"], state["early"]
        self.broke, self._gradients.parts = state.get("broke", False), state.get("parts", 1)
        self._best_look = Look(**state["look"])
        self._began -= state["seconds"]
        self._peak = state.get("peak", 0)
        self._rehearsal = Rehearsal(**state["rehearsal"]) if state.get("rehearsal") else None
        if state.get("recomputing"):
            self._gradients.recompute()
        if self._rehearsal and self._rehearsal.tokens:
            self._learn_from(self.objective.shorter(self._rehearsal.tokens) or self.objective)

    def _learning_rate(self) -> float:
        """Up over the first steps, then down to zero in a straight line."""
        warm = max(1, round(WARMUP * self.steps))
        if self.step < warm:
            return self.settings.learning_rate * (self.step + 1) / warm
        return self.settings.learning_rate * (self.steps - self.step) / max(1, self.steps - warm)
