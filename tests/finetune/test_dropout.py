"""The fast dropout drops as often as torch's, repeats with the seed, and is out of the way when nothing is learned."""

from __future__ import annotations

import pytest
import torch

from llmapp.finetune.dropout import Dropout, with_fast_dropout


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5])
def test_as_many_are_dropped_as_asked_and_the_mean_stays(p: float) -> None:
    torch.manual_seed(0)
    given = torch.ones(1001, 999, requires_grad=True)
    left = Dropout(p)(given)
    kept = left != 0
    assert kept.float().mean().item() == pytest.approx(1 - p, abs=2e-3)
    assert torch.equal(left[kept], torch.full_like(left[kept], 1 / (1 - p)))
    left.sum().backward()
    assert given.grad is not None
    assert torch.equal(given.grad, left.detach())
    beside = (kept[:, 1:] & kept[:, :-1]).float().mean().item()
    assert beside == pytest.approx((1 - p) ** 2, abs=3e-3)


def test_the_same_seed_drops_the_same() -> None:
    drop, given = Dropout(0.3), torch.randn(5, 7)
    torch.manual_seed(1)
    first, second = drop(given), drop(given)
    torch.manual_seed(1)
    assert torch.equal(drop(given), first)
    assert not torch.equal(first, second)


def test_it_takes_the_place_of_torchs_and_drops_nothing_in_eval() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Sequential(torch.nn.Dropout(0.4)))
    given = torch.randn(3, 8)
    expected = model.eval()(given)
    found = with_fast_dropout(model)
    assert isinstance(found[1][0], Dropout)
    assert found[1][0].p == 0.4
    assert torch.equal(found.eval()(given), expected)
