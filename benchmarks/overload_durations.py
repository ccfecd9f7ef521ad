"""How long hosts of drawn clusters are overloaded, beside real hosts.

    python benchmarks/overload_durations.py

The first table is about whole traces: working sets above the memory of their host, sample by sample
(5 minutes), complete overloads only. Published are the figures of ``<repo>/../shared/data``: 20
random VMs of Bitbrains, host memory = provisioned / 5; the same is measured again here. Clusters
are those of gymbal/Overload-v0 (training part): 4 to 10 VMs of a size on a host, overcommitted 4 to
5.5 times.

The second table is about episodes (an hour, test part) as they are played: short excursions on top,
working sets every 30 s, and windows drawn such that most see an overload begin. Last in it: how
long overloads last in full that begin in the first two thirds of windows drawn so, how long all do,
and how long those do that a window drawn evenly sees: too long.

Prints both, then one JSON line. Bitbrains is no part of the project: where it is missing its
columns are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gymbal_envs.demand.statistics import (
    LASTED_MIN,
    OverloadFigures,
    chance_of_more,
    host_overloads,
    overload_runs,
)
from gymbal_envs.demand.trace import Trace
from gymbal_envs.scenarios.cluster_config import ClusterConfig
from gymbal_envs.scenarios.cluster_fleet import ClusterFleetScenarios
from gymbal_envs.scenarios.cluster_packing import window_start
from gymbal_envs.scenarios.cluster_scenario import ClusterScenario
from gymbal_envs.scenarios.source import load_trace

MONTH = Path(__file__).resolve().parents[2] / "shared" / "data" / "bitbrains" / "rnd_2013-08.npz"
NUM_CLUSTERS, NUM_EPISODES, WINDOWS_EACH = 100, 200, 20
PUBLISHED = (0.0093, 10, 25, 101, 0.86, 0.20, 0.16, 0.31, 0.50, 0.71, 0.86)
FIGURES = (
    "host time overloaded", "duration p50, min", "duration p90, min", "duration p99, min",
    "at most 15 min", "overloaded time in episodes > 1 h",
    *(f"P(15 min more after {lasted})" for lasted in LASTED_MIN),
)  # fmt: skip
EPISODES = (
    "episodes with an overload", "hosts with an overload", "host time overloaded",
    "overloads of less than 2 min", "duration p50, s", "duration p90, s", "duration p99, s",
    "longest of an episode, p50, s", "longest of an episode, p90, s",
    "clusters given more memory for headroom", "overloaded with one VM alone above 80 %",
    "an overload as windows see it begin: p50, min", "as windows see it begin: p90, min",
    "any overload: p50, min", "any overload: p90, min",
    "as evenly drawn windows see it: p50, min", "as evenly drawn windows see it: p90, min",
)  # fmt: skip

Floats = NDArray[np.float64]


def main() -> None:
    traces = {"synthetic": load_trace("synthetic")}
    if MONTH.exists():
        traces["Bitbrains"] = load_trace(str(MONTH), repair=True)
    else:
        print(f"{MONTH} is absent: its columns are left out\n")
    whole: dict[str, Iterable[float]] = {"published": PUBLISHED}
    episodes: dict[str, Iterable[float]] = {}
    for name, trace in traces.items():
        whole[f"{name}, 20 random VMs, k = 5"] = listed(host_overloads(trace, 5.0))
        whole[f"{name}, clusters"] = over_time(trace, ClusterConfig())
        whole[f"{name}, clusters, k = 3"] = over_time(trace, ClusterConfig(overcommit=(3.0, 3.0)))
        episodes[name] = [*in_episodes(trace), *importance(trace)]
    print(table(FIGURES, whole), end="\n\n")
    print(table(EPISODES, episodes), end="\n\n")
    result = {name: plain(FIGURES, values) for name, values in whole.items()}
    drawn = {name: plain(EPISODES, values) for name, values in episodes.items()}
    print(json.dumps({"benchmark": "overload_durations", "hosts": result, "episodes": drawn}))


def plain(names: tuple[str, ...], values: Iterable[float]) -> dict[str, float | None]:
    """For JSON, which knows no nan."""
    rounded = (None if np.isnan(value) else round(float(value), 4) for value in values)
    return dict(zip(names, rounded, strict=True))


def table(names: tuple[str, ...], columns: dict[str, Iterable[float]]) -> str:
    """Markdown, a row a figure."""
    lines = ["| figure | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for name, *values in zip(names, *columns.values(), strict=True):
        lines.append(f"| {name} | " + " | ".join(f"{v:.3g}" for v in values) + " |")
    return "\n".join(lines)


def listed(found: OverloadFigures) -> list[float]:
    """In the order of `FIGURES`."""
    return [
        found.time_frac, *found.duration_min, found.short_frac, found.long_time_frac,
        *found.more_15min,
    ]  # fmt: skip


def over_time(trace: Trace, config: ClusterConfig) -> list[float]:
    """`FIGURES` of the hosts of drawn clusters over the whole training part."""
    source = ClusterFleetScenarios(trace, config)
    loads = [source.packed(index).load for index in range(NUM_CLUSTERS)]
    runs = [overload_runs(load) for load in loads]
    length = np.concatenate([r.length[r.complete] for r in runs])
    step_min = trace.step_s / 60
    minutes = length * step_min
    lasted = tuple(max(1, round(each / step_min)) for each in LASTED_MIN)
    time = float(np.mean(np.concatenate([(load > 1).ravel() for load in loads])))
    quantiles = np.quantile(minutes, (0.5, 0.9, 0.99))
    late = float(minutes[minutes > 60].sum() / minutes.sum())
    more = chance_of_more(length, lasted, max(1, round(15 / step_min)))
    return [time, *quantiles.tolist(), float(np.mean(minutes <= 15)), late, *more]


def in_episodes(trace: Trace) -> list[float]:
    """Overloads as they are played."""
    config = ClusterConfig()
    source = ClusterFleetScenarios(trace, config, "test")
    drawn = [source(index) for index in range(NUM_EPISODES)]
    loads = [host_loads(cluster) for cluster in drawn]
    runs = [overload_runs(load) for load in loads]
    lasted = np.concatenate([r.length[r.complete] for r in runs]) * config.knot_s
    longest = [r.length.max(initial=0) * config.knot_s for r in runs]
    alone = np.concatenate([largest_share(cluster)[host_loads(cluster) > 1] for cluster in drawn])
    raised = [is_raised(cluster, config.headroom) for cluster in drawn]
    return [
        float(np.mean([bool(np.any(load > 1)) for load in loads])),
        float(np.mean(np.concatenate([np.any(load > 1, axis=1) for load in loads]))),
        float(np.mean(np.concatenate([(load > 1).ravel() for load in loads]))),
        float(np.mean(lasted < 120)),
        *np.quantile(lasted, (0.5, 0.9, 0.99)).tolist(),
        *np.quantile(longest, (0.5, 0.9)).tolist(),
        float(np.mean(raised)),
        float(np.mean(alone > 0.8)),
    ]


def room(cluster: ClusterScenario) -> Floats:
    """(hosts,) bytes for working sets."""
    there = [host for host in cluster.hosts if host is not None]
    return np.array([host.capacity_bytes - host.kernel_bytes.sum() for host in there])


def host_loads(cluster: ClusterScenario) -> Floats:
    """(hosts, K) working sets over room."""
    there = [host for host in cluster.hosts if host is not None]
    demand = np.array([host.working_set_bytes.sum(axis=1, dtype=np.float64) for host in there])
    return np.asarray(demand / room(cluster)[:, None])


def largest_share(cluster: ClusterScenario) -> Floats:
    """(hosts, K) the largest working set over the room of the cluster's largest host."""
    there = [host for host in cluster.hosts if host is not None]
    largest = np.array([host.working_set_bytes.max(axis=1) for host in there], dtype=np.float64)
    return np.asarray(largest / room(cluster).max())


def is_raised(cluster: ClusterScenario, headroom: float) -> bool:
    """Whether the cluster's memory is just what the headroom demands."""
    sizes = room(cluster)
    peak = float((host_loads(cluster) * sizes[:, None]).sum(axis=0).max() / sizes.sum())
    return peak > headroom * (1 - 1e-6)


def importance(trace: Trace) -> list[float]:
    """Full durations: of overloads that windows see begin, of all, and of evenly drawn windows."""
    config = replace(ClusterConfig(), overload_frac=1.0)
    source = ClusterFleetScenarios(trace, config)
    window = round(config.episode_s / trace.step_s) + 1
    rng = np.random.default_rng(0)
    seen: dict[str, list[float]] = {"planned": [], "all": [], "even": []}
    for index in range(NUM_CLUSTERS):
        load = source.packed(index).load
        begins, length = runs_of(load)
        if begins.size == 0:
            continue
        seen["all"] += rng.choice(length, WINDOWS_EACH).tolist()
        for kind, frac in (("planned", 1.0), ("even", 0.0)):
            for _ in range(WINDOWS_EACH):
                start = window_start(rng, load, window, frac)
                first, last = start + 1, start + 2 * (window - 1) // 3
                if kind == "even":  # whatever is seen, begun or under way
                    inside = (begins < start + window) & (begins + length > start)
                else:
                    inside = (begins >= first) & (begins <= last)
                if inside.any():
                    seen[kind].append(float(rng.choice(length[inside])))
    minutes = trace.step_s / 60
    return [
        float(quantile) * minutes
        for kind in ("planned", "all", "even")
        for quantile in np.quantile(seen[kind], (0.5, 0.9))
    ]


def runs_of(load: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First sample and length of every overload of a cluster's hosts, load (H, T)."""
    edges = np.diff(np.pad(load > 1, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    _, first = np.nonzero(edges == 1)
    _, last = np.nonzero(edges == -1)
    begun = first > 0  # what is under way at the start did not begin
    return first[begun], (last - first)[begun]


if __name__ == "__main__":
    main()
