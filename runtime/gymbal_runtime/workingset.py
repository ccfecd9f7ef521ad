"""Working-set estimates from telemetry: the arithmetic that heuristics and the codec share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gymbal_runtime.telemetry import NUM_LRU_SLICES, Telemetry

Floats = NDArray[np.float64]


def hit_tail(telemetry: Telemetry) -> Floats:
    """Accesses/s that would miss, at most, if only the first k slices were kept.

    Returns:
        (H, V, NUM_LRU_SLICES + 1): entry k sums the hits at stack distances beyond k slices of the
        present allocation; entry 0 is all hits, the last is 0. NaN where no histogram runs.
    """
    hits = telemetry.lru_hit_rate
    tail = np.zeros((*hits.shape[:2], NUM_LRU_SLICES + 1))
    tail[:, :, :-1] = np.cumsum(hits[:, :, ::-1], axis=2)[:, :, ::-1]
    tail[:, :, -1] = np.where(np.isnan(hits[:, :, 0]), np.nan, 0.0)
    return tail


def histogram_working_set(telemetry: Telemetry, delta: float = 0.05) -> Floats:
    """Smallest size at which at most ``delta`` of the visible accesses would miss (models.md 1.2).

    Linear inside a slice. Distances beyond the present allocation are invisible to a histogram, so
    the estimate never exceeds the allocation (hence MEB's second predictor).

    Returns:
        (H, V) bytes; NaN where no histogram runs, 0 where nothing was accessed.
    """
    hits = telemetry.lru_hit_rate
    beyond = hits[:, :, ::-1].cumsum(axis=2)[:, :, ::-1]  # misses if cut where slice k starts
    above = beyond - delta * beyond[:, :, :1]
    # Slice k is needed whole where even its far end misses too often, in part where its start does.
    needed = np.minimum(np.maximum(above / np.maximum(hits, 1e-300), 0.0), 1.0).sum(axis=2)
    return np.asarray(needed / NUM_LRU_SLICES * telemetry.actual_bytes)


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
