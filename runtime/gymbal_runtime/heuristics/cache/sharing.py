"""Miss curves of programs that share one part of a cache."""

from __future__ import annotations

import numpy as np

from gymbal_runtime.telemetry import Floats


def combined(
    flow_a: Floats, flow_b: Floats, cost_a: Floats, cost_b: Floats
) -> tuple[Floats, Floats]:
    """Curves of two programs, or clusters, that share a part.

    As the part grows by ds, each gets what it fetches into it: ds_a / ds_b = flow_a(s_a) /
    flow_b(s_b). That is the combination rule of Whirlpool (Mukkara et al., ASPLOS 2016), which
    KPart uses, and the natural partition of HOTL (models.md 1.1): footprints grow in time at the
    miss rate. Integrated in one explicit midpoint step per knot.

    Args:
        flow_a: (N, K) misses/s at K equal steps from nothing to the whole cache, not rising.
        flow_b: (N, K) the same of the other.
        cost_a: (N, K) what is added up, misses or anything else, at the same sizes.
        cost_b: (N, K) the same of the other.

    Returns:
        (N, K) misses/s and (N, K) cost of both together at each size of the common part.
    """
    num_rows, num_knots = flow_a.shape
    flow, cost = np.empty_like(flow_a), np.empty_like(cost_a)
    flow[:, 0], cost[:, 0] = flow_a[:, 0] + flow_b[:, 0], cost_a[:, 0] + cost_b[:, 0]
    flows = np.concatenate([flow_a, flow_b]).reshape(-1)
    costs = np.concatenate([cost_a, cost_b]).reshape(-1)
    offset = num_knots * np.arange(2 * num_rows).reshape(2, num_rows)
    held = np.zeros(num_rows)  # of the first one, in knots
    now = np.stack([flow_a[:, 0], flow_b[:, 0]])
    for size in range(1, num_knots):
        halfway = np.minimum(held + 0.5 * _part(now), size - 0.5)
        middle = _read(flows, offset, np.stack([halfway, size - 0.5 - halfway]), num_knots)
        held = np.minimum(held + _part(middle), size)
        places = np.stack([held, size - held])
        now = _read(flows, offset, places, num_knots)
        costing = _read(costs, offset, places, num_knots)
        flow[:, size], cost[:, size] = now[0] + now[1], costing[0] + costing[1]
    return flow, cost


def _part(flow: Floats) -> Floats:
    """The first one's part (N,) of what both (2, N) fetch; half where nobody fetches anything."""
    total = flow[0] + flow[1]
    return np.where(total > 0.0, flow[0] / np.where(total > 0.0, total, 1.0), 0.5)


def _read(curves: Floats, offset: np.ndarray, place: Floats, num_knots: int) -> Floats:
    """Curves (flat, starting at ``offset``) between knots, by linear interpolation."""
    knot = np.minimum(place.astype(np.int64), num_knots - 2)
    where = offset + knot
    left = curves[where]
    return np.asarray(left + (place - knot) * (curves[where + 1] - left))


def partitioned(cost_a: Floats, cost_b: Floats) -> Floats:
    """Least cost of both with parts of their own that add up to each size, (N, K)."""
    num_knots = cost_a.shape[1]
    best = cost_a[:, :1] + cost_b
    for held in range(1, num_knots):
        split = cost_a[:, held : held + 1] + cost_b[:, : num_knots - held]
        np.minimum(best[:, held:], split, out=best[:, held:])
    return best
