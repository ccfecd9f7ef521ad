"""The rest of a host: reproducible, in range, and its programs apart from each other's split."""

from dataclasses import fields, replace
from itertools import combinations

import numpy as np
import pytest

from gymbal_envs.demand.llc_profiles import LlcProfile, load_llc_profiles
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.fleet import FleetConfig, FleetScenarios
from gymbal_envs.scenarios.machine import (
    SENSITIVE_SLOWDOWN,
    MachineConfig,
    MachineDraw,
    programs_of,
    split_programs,
)
from gymbal_envs.scenarios.resources import Resources
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.params import MIB

FLEET = FleetConfig(episode_s=900.0)
MACHINE = MachineConfig(devices=True, wake_ups=True)
SPLITS = ("train", "validation", "test")
NUM_DRAWN = 40


@pytest.fixture(scope="module", name="trace")
def _trace():
    return SyntheticFleet().generate(80, 600, seed=5)


@pytest.fixture(scope="module", name="source")
def _source(trace):
    def source(machine=MACHINE, split="train", seed=3):
        draw = None
        if machine is not None:
            knots = round(FLEET.episode_s / FLEET.knot_s) + 1
            programs = programs_of("", split)
            draw = MachineDraw(machine, programs, FLEET.max_vms, knots, FLEET.knot_s)
        return FleetScenarios(trace, FLEET, split, seed, draw)

    return source


@pytest.fixture(scope="module", name="drawn")
def _drawn(source):
    make = source()
    return [make(index) for index in range(NUM_DRAWN)]


def differing(one, other, kind):
    """Names of fields whose values differ; NaN equals NaN."""
    names = []
    for field in fields(kind):
        a, b = getattr(one, field.name), getattr(other, field.name)
        same = (
            np.array_equal(a, b, equal_nan=a.dtype.kind == "f") if hasattr(a, "dtype") else a == b
        )
        if not same:
            names.append(field.name)
    return names


def test_splits_share_no_programs_and_leave_none_out():
    programs = load_llc_profiles()
    named = {split: {p.name for p in split_programs(programs, split)} for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        assert not named[one] & named[other]
    assert set().union(*named.values()) == {p.name for p in programs}
    assert len(named["train"]) > len(named["test"]) >= 4


def test_every_split_has_programs_that_need_cache_and_programs_that_do_not():
    for split in SPLITS:
        slow = [p.slowdown(2 * MIB, 32 * MIB) for p in programs_of("", split)]
        assert min(slow) < SENSITIVE_SLOWDOWN < max(slow)


def test_programs_whose_speed_nobody_measured_come_in_the_test_alone():
    untimed = tuple(
        LlcProfile(f"own{k}", np.array([0.0, 1.0]), np.array([0.1, 0.0]), 1.0, 10.0)
        for k in range(5)
    )
    assert split_programs(untimed, "train") == split_programs(untimed, "validation") == ()
    assert split_programs(untimed, "test") == untimed


def test_a_number_names_the_same_host_whenever_it_is_drawn(source, drawn):
    again = source()
    for index in (31, 0, 17):
        scenario = again(index)
        assert differing(scenario, drawn[index], Scenario) == ["resources"]
        assert not differing(scenario.resources, drawn[index].resources, Resources)


def test_numbers_and_seeds_differ(source, drawn):
    other = source(seed=4)(0).resources
    for resources in (other, drawn[1].resources):
        assert {"llc_bytes", "mpi"} <= set(differing(resources, drawn[0].resources, Resources))


def test_memory_is_drawn_the_same_with_and_without_the_rest(source, drawn):
    alone = source(machine=None)
    for index, scenario in enumerate(drawn):
        assert set(differing(scenario, alone(index), Scenario)) <= {
            "cores", "cpu_cores", "vcpus", "resources",
        }  # fmt: skip


def test_what_is_switched_off_leaves_the_rest_as_drawn(source, drawn):
    only_cache = source(machine=replace(MACHINE, devices=False, wake_ups=False))(7).resources
    assert differing(only_cache, drawn[7].resources, Resources) == ["device_bytes_s", "cpu_slice_s"]
    assert source(machine=replace(MACHINE, cache=False))(7).resources.llc_bytes == 0


def test_everything_lies_in_its_range(drawn):
    coloured = set()
    for scenario in drawn:
        rest, here = scenario.resources, scenario.present
        coloured.add(rest.llc_recolours)
        assert 16 * MIB <= rest.llc_bytes <= 32 * MIB
        assert rest.llc_units in (MACHINE.colours if rest.llc_recolours else MACHINE.ways)
        assert (
            rest.llc_classes >= here.sum() if rest.llc_recolours else rest.llc_classes in (4, 8, 16)
        )
        assert np.all(rest.cpi_base[here] > 0)
        assert set(scenario.vcpus[here]) <= set(MACHINE.vcpus)
        assert np.all(scenario.cores[:, here] <= scenario.vcpus[here])
        assert np.all(scenario.cores[:, here] > 0)
        hints = rest.hint_slowdown[here]
        assert np.all(np.isnan(hints) | (hints >= 1.0))
    assert coloured == {True, False}


def test_an_empty_slot_runs_nothing(drawn):
    for scenario in drawn:
        rest, empty = scenario.resources, ~scenario.present
        for name in ("mpi", "cpi_base", "penalty_cycles", "wakeups", "io_weight"):
            assert not getattr(rest, name)[empty].any()
        assert not rest.io_bytes_s[:, empty].any()


def test_programs_stay_in_a_phase_for_about_as_long_as_told(trace):
    config = replace(MACHINE, phase_s=(100.0, 100.0))
    draw = MachineDraw(config, programs_of("", "train"), 8, 3000, 10.0)
    rest = draw(np.random.default_rng(0), np.arange(8), np.ones(8), np.ones(8))
    changes = (np.diff(rest.phase, axis=0) != 0).sum(axis=0)
    assert changes.mean() == pytest.approx(29990 / 105, rel=0.1)  # rounded up to whole knots
    assert set(np.unique(rest.phase)) == set(range(at.NUM_PHASES))


def test_about_as_many_programs_need_cache_as_told(source):
    for frac, least, most in ((1.0, 1.0, 1.0), (0.0, 0.1, 0.6)):
        make = source(machine=replace(MACHINE, sensitive_frac=frac))
        need = []
        for index in range(20):
            rest, here = make(index).resources, make(index).present
            curves = rest.mpi[here]
            cpi = rest.cpi_base[here][:, :, None] + rest.penalty_cycles[here][:, :, None] * curves
            # an eleventh of 32 MiB, on this host's grid
            short = 32 * MIB / 12 / rest.llc_bytes * at.NUM_LLC_SEGMENTS
            slow = cpi[:, :, int(short)] / cpi[:, :, -1]
            need.append(slow >= SENSITIVE_SLOWDOWN * 0.97)
        share = np.concatenate(need).mean()
        assert least - 0.05 <= share <= most


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"llc_mib": (32.0, 16.0)}, r"llc_mib \(32.0, 16.0\) must be a rising pair above 0"),
        ({"phase_s": (0.0, 16.0)}, "phase_s"),
        ({"hint_frac": 1.5}, r"hint_frac \(1.5\) must lie in 0..1"),
        ({"ways": ()}, r"ways \(\) must be numbers of at least 1"),
        ({"min_ways": (0, 1)}, "min_ways"),
    ],
)
def test_it_says_what_is_wrong(changes, told):
    with pytest.raises(ScenarioError, match=told):
        MachineConfig(**changes)
