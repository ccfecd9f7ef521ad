"""What networks over sets have in common: how rows are pooled, and how weights begin."""

from __future__ import annotations

from collections.abc import Sequence

import torch as th
from torch import nn


def begin(network: nn.Module, silent: Sequence[nn.Linear]) -> None:
    """Draw weights, orthogonal and scaled for rectifiers; biases, and ``silent`` layers, are 0.

    Source: Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks", ICLR 2014.
    """
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.orthogonal_(module.weight, 2**0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for last in silent:
        nn.init.zeros_(last.weight)


def pooled(codes: th.Tensor, present: th.Tensor) -> tuple[th.Tensor, th.Tensor]:
    """Mean and maximum over the last axis but one, of the rows that are there.

    Args:
        codes: (..., N, W), not negative, 0 where absent.
        present: (..., N).
    """
    count = present.sum(-1, keepdim=True).clamp(min=1.0)
    return codes.sum(-2) / count, codes.amax(-2)
