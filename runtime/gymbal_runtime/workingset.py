"""Working-set estimates from telemetry: the arithmetic that heuristics and the codec share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import NUM_LRU_SLICES, Telemetry

Floats = NDArray[np.float64]


def working_set_frac(hit_rate: Floats, fault_rate: Floats, miss_ratio: float) -> Floats:
    """WSS_delta as a fraction of the allocation: the least x with m(x) <= delta.

    m(x) is the share of accesses whose stack distance exceeds x (Mattson et al. 1970), distances
    spread evenly within a slice and misses at the present allocation counted as beyond it.

    Args:
        hit_rate: (..., NUM_LRU_SLICES) 1/s, accesses by stack distance.
        fault_rate: (...) 1/s, misses at the present allocation.
        miss_ratio: delta.

    Returns:
        (...) in [0, 1]; 1 where even the whole allocation misses more often than delta.
    """
    hits = np.ascontiguousarray(hit_rate)
    beyond = hits[..., ::-1].cumsum(axis=-1)[..., ::-1] + fault_rate[..., None]  # left of slice k
    # The slice k in which the misses fall to the allowance is the last that starts above it, and
    # each slice before it is needed whole.
    above = beyond - miss_ratio * beyond[..., :1]
    needed: Floats = np.clip(above / np.maximum(hits, 1e-300), 0.0, 1.0).sum(axis=-1)
    return needed / NUM_LRU_SLICES


def histogram_working_set(telemetry: Telemetry, delta: float = 0.05) -> Floats:
    """Smallest size at which at most ``delta`` of the visible accesses would miss (models.md 1.2).

    Linear inside a slice. Distances beyond the present allocation are invisible to a histogram, so
    the estimate never exceeds the allocation (hence MEB's second predictor).

    Returns:
        (H, V) bytes; NaN where no histogram runs, 0 where nothing was accessed.
    """
    seen = working_set_frac(telemetry.lru_hit_rate, np.zeros(telemetry.present.shape), delta)
    return np.asarray(seen * telemetry.actual_bytes)


def estimated_working_set(telemetry: Telemetry) -> Floats:
    """Best available estimate: histogram, else the active sampler, else what is not usable.

    Returns:
        (H, V) bytes, never NaN for a present VM.
    """
    estimate = histogram_working_set(telemetry)
    estimate = np.where(np.isnan(estimate), telemetry.active_bytes, estimate)
    used = telemetry.actual_bytes - telemetry.usable_bytes
    estimate = np.where(np.isnan(estimate), used, estimate)
    return np.where(np.isnan(estimate), telemetry.actual_bytes, estimate)
