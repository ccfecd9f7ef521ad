"""From plays on real guests to findings: gains, the simulator's error, a table and a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from real_host_script import FITTED, GUESTS, JUDGED, MIB, POLICIES, Play, Script
from real_host_simulated import Constants, fit, play_simulated
from scipy import stats

mpl.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results"
IMAGE = Path(__file__).parents[1] / "docs/images/real_host.png"
BARS = {"over static": 1.3, "over MEB": 1.0, "error": 0.15}

Played = tuple[Script, dict[str, Play], dict[str, float]]


def report(played: Sequence[Played]) -> dict[str, Any]:
    """Judge all plays; writes results and picture, returns the findings."""
    judged = [plays for script, plays, _ in played if script is JUDGED]
    fitted = [plays for script, plays, _ in played if script is FITTED]
    constants = fit(FITTED, fitted)
    simulated = {s.name: play_simulated(s, constants) for s in (JUDGED, FITTED)}
    work = {p: [plays[p].work for plays in judged] for p in POLICIES}
    in_simulator = {p: simulated["judged"][p].work for p in POLICIES}
    findings: dict[str, Any] = {
        "repeats": len(judged),
        "load": [load for _, _, load in played],
        "work": work,
        "gain": {
            "over static": gain(work["learned"], work["static"]),
            "over MEB": gain(work["learned"], work["meb"]),
        },
        "decided_by_policy": share_of_policy(judged),
        "swapped_in_bytes": {p: [swapped_in(plays[p]) for plays in judged] for p in POLICIES},
        "constants": asdict(constants),
        "simulated_work": in_simulator,
        "ranking": {
            "real": ranking({p: float(np.mean(work[p])) for p in POLICIES}),
            "simulated": ranking(in_simulator),
        },
        "error": {
            "judged": errors(JUDGED, judged, simulated["judged"]),
            "fitted": errors(FITTED, fitted, simulated["fitted"]),
        },
    }
    picture(judged, simulated["judged"])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "real_host.json").write_text(json.dumps(findings, indent=1) + "\n")
    (RESULTS / "real_host.md").write_text(markdown(findings, constants))
    return findings


def gain(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Paired ratio: geometric mean, 95 % interval (t on logarithms), and the least."""
    logs = np.log(np.array(ours) / np.array(theirs))
    half = 0.0
    if len(logs) > 1:
        half = float(stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs))
    mean = float(logs.mean())
    low, high = np.exp([mean - half, mean + half])
    return {
        "mean": float(np.exp(mean)),
        "low": float(low),
        "high": float(high),
        "least": float(np.exp(logs.min())),
    }


def errors(
    script: Script, real: Sequence[Mapping[str, Play]], simulated: Mapping[str, Play]
) -> dict[str, Any]:
    """Mean absolute difference of progress between simulator and reality.

    Returns:
        Over guests and phases, of each policy and of all; and over whole scripts per guest.
    """
    by_policy, whole = {}, []
    for policy in POLICIES:
        measured = np.mean([plays[policy].progress(script) for plays in real], axis=0)
        by_policy[policy] = float(np.abs(simulated[policy].progress(script) - measured).mean())
        measured = np.mean([overall(plays[policy]) for plays in real], axis=0)
        whole.append(np.abs(overall(simulated[policy]) - measured).mean())
    return {
        "by_phase": by_policy,
        "all": float(np.mean(list(by_policy.values()))),
        "whole_script": float(np.mean(whole)),
    }


def overall(play: Play) -> np.ndarray:
    """(2,) part of the wanted touches that each guest made in the whole script."""
    return (play.touched[-1] - play.touched[0]) / (play.wanted[-1] - play.wanted[0])


def share_of_policy(judged: Sequence[Mapping[str, Play]]) -> float:
    """Part of the learned policy's decisions that it took itself."""
    sources = [plays["learned"].sources for plays in judged]
    taken = sum(source.get("policy", 0) for source in sources)
    return taken / sum(sum(source.values()) for source in sources)


def swapped_in(play: Play) -> float:
    """Bytes that both guests read back from swap."""
    rate = np.nan_to_num(np.array(play.swap_in_rate)).sum(axis=1)
    return float(np.trapezoid(rate, play.time_s))


def ranking(work: Mapping[str, float]) -> list[str]:
    """Policies, the one with most work first."""
    return sorted(work, key=lambda policy: -work[policy])


def markdown(findings: Mapping[str, Any], constants: Constants) -> str:
    """The findings as a page."""
    gains = findings["gain"]
    error, fitted = findings["error"]["judged"], findings["error"]["fitted"]
    loads = [load["after"] for load in findings["load"]]
    lines = [
        "# Real guests and the simulator on the same script",
        "",
        "`python benchmarks/real_host.py`; the script and how it is played:"
        " `benchmarks/real_host_script.py`, `benchmarks/real_host_guests.py`.",
        "",
        f"{findings['repeats']} repeats, all policies side by side; load of the machine (2 cores)"
        f" {min(loads):.0f} to {max(loads):.0f}.",
        "",
        "| policy | touches made, millions | swapped in, MB | in the simulator, millions |",
        "| --- | ---: | ---: | ---: |",
    ]
    for policy in findings["ranking"]["real"]:
        made = np.array(findings["work"][policy]) / 1e6
        swapped = np.mean(findings["swapped_in_bytes"][policy]) / 1e6
        simulated = findings["simulated_work"][policy] / 1e6
        lines.append(
            f"| {policy} | {made.mean():.3f} ({made.min():.3f} to {made.max():.3f}) |"
            f" {swapped:.0f} | {simulated:.3f} |"
        )
    told = {
        name: f"{value['mean']:.2f} [{value['low']:.2f}, {value['high']:.2f}]"
        for name, value in gains.items()
    }
    same = findings["ranking"]["real"] == findings["ranking"]["simulated"]
    lines += [
        "",
        "| what | measured | bar |",
        "| --- | --- | --- |",
        f"| work of the learned policy over static | {told['over static']} | 1.3 |",
        f"| over MEB | {told['over MEB']} | 1 |",
        f"| simulator: mean absolute error of progress, by guest and phase | {error['all']:.1%} |"
        " 15 % |",
        f"| the same over whole scripts | {error['whole_script']:.1%} | |",
        f"| the same on the script that it was fitted to | {fitted['all']:.1%} | |",
        f"| same ranking in the simulator | {'yes' if same else 'no'} | yes |",
        f"| decisions that the policy took itself | {findings['decided_by_policy']:.0%} | |",
        "",
        f"Constants, fitted on another script: a fault takes {constants.fault_s * 1e3:.2f} ms, a"
        f" guest's kernel holds {constants.kernel_bytes / MIB:.0f} MiB, swap is written at"
        f" {constants.write_bytes_s / 1e6:.1f} MB/s, {constants.idle_frac:.1%} of the touches are"
        " missed with all pages in memory.",
        "",
    ]
    return "\n".join(lines)


def picture(judged: Sequence[Mapping[str, Play]], simulated: Mapping[str, Play]) -> None:
    """Balloons, swap traffic and progress, reality beside the simulator."""
    figure, axes = plt.subplots(3, len(POLICIES), figsize=(12, 8), sharex="row", sharey="row")
    colours = ("tab:blue", "tab:orange")
    for column, policy in enumerate(POLICIES):
        _lines(axes[0, column], [p[policy] for p in judged], simulated[policy], "actual_bytes", MIB)
        _lines(axes[1, column], [p[policy] for p in judged], simulated[policy], "swap_in_rate", 1e6)
        axes[0, column].set_title(policy)
        real = np.mean([plays[policy].progress(JUDGED) for plays in judged], axis=0)
        played = simulated[policy].progress(JUDGED)
        for guest in range(len(GUESTS)):
            place = np.arange(len(real)) + 0.4 * guest
            axes[2, column].bar(place, real[:, guest], 0.36, color=colours[guest], alpha=0.6)
            axes[2, column].plot(place, played[:, guest], "k_", markersize=14)
        axes[2, column].set_xlabel("phase")
        axes[1, column].set_xlabel("time, s")
    for row, label in enumerate(("memory held, MiB", "swapped in, MB/s", "progress")):
        axes[row, 0].set_ylabel(label)
    axes[0, 0].plot([], [], "k-", label="real")
    axes[0, 0].plot([], [], "k:", label="simulated")
    axes[0, 0].legend(loc="lower left", fontsize=8)
    figure.suptitle(f"Two guests with opposite peaks on {JUDGED.budget_bytes / MIB:.0f} MiB")
    figure.tight_layout()
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=110)
    plt.close(figure)


def _lines(axis: Any, real: Sequence[Play], simulated: Play, name: str, unit: float) -> None:
    colours = ("tab:blue", "tab:orange")
    for guest, colour in enumerate(colours):
        for play in real:
            values = np.array(getattr(play, name))[:, guest] / unit
            axis.plot(play.time_s, values, color=colour, alpha=0.35, linewidth=1)
        values = np.array(getattr(simulated, name))[:, guest] / unit
        axis.plot(simulated.time_s, values, ":", color=colour, linewidth=2)
