"""Predicted page misses as a function of memory, and the split that has the fewest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gymbal_runtime.telemetry import NUM_LRU_SLICES, Floats

_NUM_SEGMENTS = NUM_LRU_SLICES + 1  # the slices, and the unseen part beyond the allocation


@dataclass(frozen=True, slots=True)
class MissCurve:
    """Misses per second of H x V VMs, piecewise linear and non-increasing in the memory held.

    Within the present allocation A the LRU histogram tells it: an access of stack distance d misses
    iff d > x (Mattson et al. 1970), distances being spread evenly within a slice. Beyond A no
    histogram can see; there the misses measured at A are taken to fade linearly to zero over the
    amount of memory that is missing.

    Attributes:
        knots: (segments + 1, H, V) bytes, non-decreasing, from 0 over A to A + missing.
        misses: (segments + 1, H, V) 1/s at the knots, the last 0.
    """

    knots: Floats
    misses: Floats

    @classmethod
    def from_histogram(
        cls, actual: Floats, missing: Floats, hit_rate: Floats, fault_rate: Floats
    ) -> MissCurve:
        """Build the curves.

        Args:
            actual: (H, V) bytes, present allocations.
            missing: (H, V) bytes, memory beyond them at which misses cease.
            hit_rate: (H, V, NUM_LRU_SLICES) 1/s, accesses by LRU stack distance.
            fault_rate: (H, V) 1/s, misses at the present allocation.
        """
        # Segments lead: the arithmetic below then runs over long contiguous rows of VMs.
        shape = (_NUM_SEGMENTS + 1, *actual.shape)
        knots, misses = np.empty(shape), np.zeros(shape)
        knots[:-1] = actual * np.linspace(0.0, 1.0, _NUM_SEGMENTS)[:, None, None]
        knots[-1] = actual + missing
        misses[-2] = fault_rate
        for k in reversed(range(NUM_LRU_SLICES)):
            np.add(misses[k + 1], hit_rate[..., k], out=misses[k])
        return cls(knots=knots, misses=misses)

    def at(self, memory: Floats) -> Floats:
        """Misses per second (H, V) with ``memory`` bytes (H, V)."""
        width = np.diff(self.knots, axis=0)
        filled = np.clip(memory - self.knots[:-1], 0.0, width) / np.maximum(width, 1e-300)
        misses: Floats = self.misses[0] + (np.diff(self.misses, axis=0) * filled).sum(axis=0)
        return misses


def least_misses(curve: MissCurve, low: Floats, high: Floats, budget: Floats) -> Floats:
    """The split of fewest misses, if the curves were convex.

    Memory goes to the segments in the order of the misses that a byte there saves, which is where a
    pairwise hill climb ends when its step goes to zero: no byte would save more elsewhere. Curves
    that are not convex are first replaced by their lower convex hull; all but one VM of a host then
    end on a vertex of it, where hull and curve agree. VMs that save alike share alike.

    Args:
        curve: misses of (H, V) VMs.
        low: (H, V) bytes.
        high: (H, V) bytes.
        budget: (H,) bytes, at least the sum of ``low``.

    Returns:
        (H, V) bytes within the bounds whose sum is ``budget``, or sum(high) where that is less.
    """
    knots = np.empty((curve.knots.shape[0] + 1, *low.shape))
    np.minimum(np.maximum(curve.knots, low), high, out=knots[:-1])
    knots[-1] = high  # the segment that saves nothing
    width = np.diff(knots, axis=0)  # (segments, H, V)
    saved = np.zeros_like(width)
    inside = width[:-1] / np.maximum(np.diff(curve.knots, axis=0), 1e-300)
    np.multiply(-np.diff(curve.misses, axis=0), inside, out=saved[:-1])
    saving = _hull_savings(knots, saved)
    room = budget - low.sum(axis=-1)
    price = _clearing_price(saving, width, room)[:, None]
    whole = np.where(saving > price, width, 0.0).sum(axis=0)
    partial = np.where(saving == price, width, 0.0).sum(axis=0)
    left = np.maximum(room - whole.sum(axis=-1), 0.0)
    share = np.minimum(left / np.maximum(partial.sum(axis=-1), 1e-300), 1.0)
    split: Floats = np.clip(low + whole + share[:, None] * partial, low, high)
    return split


def _clearing_price(saving: Floats, width: Floats, room: Floats) -> Floats:
    """Saving (H,) of the last segment that gets memory when the best get ``room`` (H,) bytes."""
    num_hosts = room.shape[0]
    per_host = np.ascontiguousarray(np.moveaxis(saving, 0, -1)).reshape(num_hosts, -1)
    widths = np.ascontiguousarray(np.moveaxis(width, 0, -1)).reshape(num_hosts, -1)
    order = np.argsort(-per_host, axis=-1, kind="stable")
    granted = np.take_along_axis(widths, order, axis=-1).cumsum(axis=-1)
    last = np.minimum((granted < room[:, None]).sum(axis=-1), granted.shape[-1] - 1)
    rows = np.arange(num_hosts)
    price: Floats = per_host[rows, order[rows, last]]
    return price


def _hull_savings(knots: Floats, saved: Floats) -> Floats:
    """Misses saved per byte in each segment, on the lower convex hull of each curve.

    The slopes of the hull are the antitonic regression of the slopes, by the min-max formula of
    Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, section 1.4.

    Args:
        knots: (segments + 1, H, V) bytes.
        saved: (segments, H, V) 1/s, 0 where a segment has no width.

    Returns:
        (segments, H, V) 1/s per byte, non-increasing in the segment.
    """
    savings = np.full_like(saved, np.inf)
    for first in range(saved.shape[0]):
        # mean[k]: misses saved per byte from the start of segment `first` to the end of k
        mean = saved[first:].copy()
        for k in range(1, mean.shape[0]):
            mean[k] += mean[k - 1]
        mean /= np.maximum(knots[first + 1 :] - knots[first], 1e-300)
        for k in reversed(range(mean.shape[0] - 1)):  # the best end at or after each segment
            np.maximum(mean[k], mean[k + 1], out=mean[k])
        np.minimum(savings[first:], mean, out=savings[first:])
    return savings
