"""Which rows a step sees, and what they weigh."""

from __future__ import annotations

import random

import pytest

from llmapp.finetune.batching import batches, class_weights


def test_every_row_once_an_epoch_and_little_padding() -> None:
    dice = random.Random(0)
    lengths = [dice.randint(3, 120) for _ in range(1000)]
    epoch = batches(lengths, 16, 63, seed=0)
    assert sorted(i for batch in epoch for i in batch) == list(range(1000))
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in epoch)
    assert padded < 1.05 * sum(lengths)
    means = [sum(lengths[i] for i in batch) / len(batch) for batch in epoch]
    assert means != sorted(means)


def test_epochs_differ_seeds_differ_and_the_same_seed_repeats() -> None:
    lengths = [5] * 100
    both = batches(lengths, 10, 20, seed=3)
    assert both[:10] != both[10:]
    assert batches(lengths, 10, 20, seed=3) == both
    assert batches(lengths, 10, 13, seed=3) == both[:13]
    assert batches(lengths, 10, 20, seed=4) != both


def test_weights_only_where_labels_are_skewed() -> None:
    assert class_weights([0] * 40 + [1] * 10, 2) is None
    weights = class_weights([0] * 90 + [1] * 10, 2)
    assert weights == pytest.approx([0.5, 1.5])
