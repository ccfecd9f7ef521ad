"""Draw docs/images/profiles.png: the measured programs and the parametric families.

Usage: python benchmarks/plot_profiles.py
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gymbal_envs.demand.profiles import (
    NUM_CURVE_SEGMENTS,
    Profile,
    cliff,
    load_profiles,
    power,
    streaming,
)

IMAGE = Path(__file__).parents[1] / "docs" / "images" / "profiles.png"

# Okabe and Ito's eight, which a colour-blind reader can tell apart.
COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
FAMILIES = (power(0.2), power(0.4), power(0.8), streaming(), cliff(0.5, 12), cliff(0.8, 30))


def main() -> None:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    measured, parametric, rates = figure.subplots(1, 3, width_ratios=(4, 4, 3))
    programs = load_profiles()
    draw_curves(measured, programs, "Eight measured programs")
    measured.set_ylabel("share of touches outside the hot core that miss")
    draw_curves(parametric, FAMILIES, "Parametric families")
    draw_rates(rates, programs)
    IMAGE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(IMAGE, dpi=130)
    print(IMAGE)


def draw_curves(axes: Axes, profiles: tuple[Profile, ...], title: str) -> None:
    resident = np.linspace(0, 1, NUM_CURVE_SEGMENTS + 1)
    for profile, color in zip(profiles, COLORS, strict=False):
        axes.plot(resident, profile.curve, label=profile.name, color=color, linewidth=1.8)
    axes.set(title=title, xlabel="resident share of the working set", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    axes.spines[["top", "right"]].set_visible(False)


def draw_rates(axes: Axes, programs: tuple[Profile, ...]) -> None:
    ordered = sorted(programs, key=lambda profile: profile.touch_rate_hz)
    names = [f"{profile.name}\n{profile.dirty_frac:.0%} dirty" for profile in ordered]
    heights = [profile.touch_rate_hz for profile in ordered]
    colors = [COLORS[programs.index(profile)] for profile in ordered]
    axes.scatter(heights, names, c=colors, s=60, zorder=2)
    axes.grid(axis="both", linewidth=0.4, zorder=0)
    axes.set(xscale="log", xlim=(10, 2e5))
    axes.tick_params(axis="y", labelsize=8)
    axes.set(title="Touch rate", xlabel="touches per second, scaled")
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
