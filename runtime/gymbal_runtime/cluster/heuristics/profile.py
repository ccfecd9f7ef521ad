"""How long overloads last, from those of the past: whether waiting for the end of one is worth it.

Riding an overload out costs c_r per second, moving the VM away C_m once. Of a VM that has suffered
for t seconds, waiting until theta and moving then is expected to cost

    E(theta | t) = mean over overloads with L > t of  c_r (min(L, theta) - t) + C_m [L > theta],

and its derivative vanishes where the hazard of ending is c_r / C_m. The mean is taken over the VM's
own overloads and a few of the kind that data centres see, which fade as its own come in.

Source: Williams et al., "Overdriver: handling memory overload in an oversubscribed cloud" (VEE
2011) for the principle; models.md 5.1 for the threshold.
"""

from __future__ import annotations

import numpy as np

from gymbal_runtime.telemetry import Bools, Floats

PRIOR_S = (
    8.0, 12.0, 15.0, 18.0, 22.0, 26.0, 30.0, 35.0, 41.0, 49.0, 60.0, 75.0, 100.0, 119.0,
    156.0, 423.0,
)  # fmt: skip
"""s, equally likely lengths: 88 % below two minutes (a lognormal body around 30 s), then a Pareto
tail of exponent 1.1, as in models.md 5.1."""


def worth_waiting(
    lengths_s: Floats, elapsed_s: Floats, rate: Floats, move_s: Floats, prior_weight: float
) -> Bools:
    """Whether some later moment to move, or never, is expected to cost less than moving now.

    Args:
        lengths_s: (n, D) past overloads of each of n VMs; NaN: fewer.
        elapsed_s: (n,) s that the present one lasts.
        rate: (n,) c_r, cost per second of waiting.
        move_s: (n,) C_m, cost of moving, same unit; infinite: never move.
        prior_weight: number of overloads that the prior counts as.

    Returns:
        (n,) False too where every overload known was shorter.
    """
    own = ~np.isnan(lengths_s)
    shape = (len(lengths_s), len(PRIOR_S))
    length = np.concatenate(
        [np.where(own, lengths_s, 0.0), np.broadcast_to(np.asarray(PRIOR_S), shape)], axis=1
    )
    weight = np.concatenate([own, np.full(shape, prior_weight / len(PRIOR_S))], axis=1)
    order = length.argsort(axis=1)
    length = np.take_along_axis(length, order, axis=1)
    more_s = length - elapsed_s[:, None]
    weight = np.where(more_s > 0.0, np.take_along_axis(weight, order, axis=1), 0.0)
    # Waiting until just after one of the lengths is as good as any other moment: those up to there
    # have ended by themselves, the others are moved then.
    ended = weight.cumsum(axis=1)
    total = ended[:, -1]
    waited_s = (weight * more_s).cumsum(axis=1) + (total[:, None] - ended) * more_s
    movable = np.where(np.isfinite(move_s), move_s, 1e12)
    cost = rate[:, None] * waited_s + movable[:, None] * (total[:, None] - ended)
    best = np.where(more_s > 0.0, cost, np.inf).min(axis=1)
    worth: Bools = (total > 0.0) & (best < movable * total)
    return worth | ~np.isfinite(move_s)
