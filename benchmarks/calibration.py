"""How honest probabilities are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def calibration_error(sure: NDArray[Any], right: NDArray[Any], bins: int) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599) over bins of equal width.

    `sure`: the probability of the label that was said, `right`: whether it is the true one; both of shape (rows,).
    """
    places = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(float((sure - right)[places == each].sum())) for each in range(bins)]
    return sum(gaps) / len(sure)
