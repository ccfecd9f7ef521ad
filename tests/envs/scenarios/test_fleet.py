"""Scenarios drawn from a trace: reproducible, in range, and apart from each other's split."""

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

from gymbal_envs.demand.sheet import CurveError
from gymbal_envs.demand.synthetic import SyntheticFleet
from gymbal_envs.scenarios.fleet import FleetConfig, FleetScenarios
from gymbal_envs.scenarios.page_profiles import resolve_profiles
from gymbal_envs.scenarios.scenario import Scenario, ScenarioError
from gymbal_envs.simulator.params import MIB, TIERS

CONFIG = FleetConfig()
NUM_DRAWN = 60


@pytest.fixture(scope="module")
def trace():
    return SyntheticFleet().generate(80, 600, seed=5)


@pytest.fixture(scope="module")
def source(trace):
    return FleetScenarios(trace, CONFIG, "train", seed=3)


@pytest.fixture(scope="module")
def drawn(source):
    return [source(index) for index in range(NUM_DRAWN)]


def same(one, other):
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(Scenario)]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


def test_a_number_names_the_same_scenario_whenever_it_is_drawn(trace, drawn):
    again = FleetScenarios(trace, CONFIG, "train", seed=3)
    for index in (59, 0, 17):
        assert same(again(index), drawn[index])


def test_numbers_seeds_and_splits_all_differ(trace, drawn):
    others = [
        FleetScenarios(trace, CONFIG, "train", seed=4)(0),
        FleetScenarios(trace, CONFIG, "validation", seed=3)(0),
        FleetScenarios(trace, CONFIG, "test", seed=3)(0),
        drawn[1],
    ]
    assert len({scenario.seed for scenario in (drawn[0], *others)}) == 5


def test_the_splits_draw_from_disjoint_vms_and_disjoint_times(trace):
    """Each VM and sample of a doctored trace carries a mark; a scenario shows which it used."""
    plain = replace(CONFIG, excursion_height=0.0, footprint_frac=(0.0, 0.0))
    marks = np.arange(80 * 600, dtype=np.float64).reshape(80, 600) / (80 * 600) * 0.5 + 0.1
    marked = replace(trace, active_frac=marks.astype(np.float32), memory_bytes=np.full(80, 2.0**36))
    used = {}
    for split in ("train", "validation", "test"):
        scenarios = [FleetScenarios(marked, plain, split, seed=0)(i) for i in range(40)]
        found = [_marks(s, 80 * 600, 2.0**36) for s in scenarios]
        cells = np.concatenate(found)
        used[split] = (set(cells // 600), (cells % 600).min(), (cells % 600).max())
    names = list(used)
    for one, other in pairwise(names):
        assert not used[one][0] & used[other][0]
        assert used[one][2] < used[other][1]
    assert not used["train"][0] & used["test"][0]


def _marks(scenario, num_cells, memory_bytes):
    frac = scenario.working_set_bytes[:, scenario.present].astype(np.float64) / memory_bytes
    edges = frac[[0, -1]].ravel()  # the first and last knot are samples of the trace
    return np.round((edges - 0.1) / 0.5 * num_cells).astype(int)


def test_what_is_drawn_lies_in_the_configured_ranges(drawn):
    for scenario in drawn:
        here = scenario.present
        assert CONFIG.num_vms[0] <= here.sum() <= CONFIG.num_vms[1]
        assert scenario.num_vms == CONFIG.max_vms
        assert scenario.num_knots == CONFIG.episode_s / CONFIG.knot_s + 1
        assert scenario.tier in [TIERS[name] for name in CONFIG.tiers]
        assert set(scenario.shares[here]) <= set(CONFIG.shares)
        assert np.all(scenario.memory_max_bytes[here] >= CONFIG.smallest_vm_mib * MIB)
        low, high = CONFIG.fault_pressure_hz
        rates = scenario.touch_rate[here]
        assert np.all((rates >= 0.25 * low) & (rates <= 4.0 * high))
        overcommit = scenario.vcpus[here].sum() / scenario.cpu_cores
        assert CONFIG.cpu_overcommit[0] <= overcommit * (1 + 1e-9)
        assert overcommit <= CONFIG.cpu_overcommit[1] * (1 + 1e-9)


def test_demand_fits_into_the_vm_and_the_load_is_as_configured(drawn):
    for scenario in drawn:
        here = scenario.present
        room = (scenario.memory_max_bytes - scenario.kernel_bytes)[here]
        working_set = scenario.working_set_bytes[:, here]
        assert np.all(working_set > 0)
        assert np.all(working_set <= scenario.footprint_bytes[:, here] * (1 + 1e-6))
        assert np.all(scenario.footprint_bytes[:, here] <= room * (1 + 1e-6))
        spare = scenario.capacity_bytes - scenario.kernel_bytes[here].sum()
        load = working_set.sum(axis=1).max() / spare
        floors = 1.05 * scenario.memory_min_bytes[here].sum()
        if scenario.capacity_bytes > floors * (1 + 1e-9):  # else the floors decided
            assert CONFIG.load[0] - 1e-6 <= load <= CONFIG.load[1] + 1e-6


def test_empty_slots_are_anywhere_and_hold_nothing(drawn):
    occupied = np.mean([scenario.present for scenario in drawn], axis=0)
    assert np.all((occupied > 0.4) & (occupied < 0.98))
    for scenario in drawn:
        for name in ("shares", "memory_max_bytes", "initial_bytes", "touch_rate"):
            assert not getattr(scenario, name)[~scenario.present].any()
        assert not scenario.working_set_bytes[:, ~scenario.present].any()


def test_memory_is_fairly_divided_at_the_start(drawn):
    for scenario in drawn:
        assert scenario.initial_bytes.sum() <= scenario.capacity_bytes * (1 + 1e-12)
        above = (scenario.initial_bytes - scenario.memory_min_bytes)[scenario.present]
        most = (scenario.memory_max_bytes - scenario.memory_min_bytes)[scenario.present]
        np.testing.assert_allclose(above, np.minimum(above.max(), most), rtol=1e-9)


@pytest.mark.parametrize("count", [2, 64])
def test_from_two_to_sixty_four_vms(trace, count):
    config = replace(CONFIG, num_vms=(count, count), max_vms=count)
    scenario = FleetScenarios(trace, config, "train", seed=0)(0)
    assert scenario.present.all()
    assert scenario.num_vms == count


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_vms": (9, 12)}, r"num_vms \(9, 12\).*max_vms \(8\)"),
        ({"num_vms": (0, 3)}, "num_vms"),
        ({"tiers": ("floppy",)}, r"tiers \['floppy'\] unknown.*nvme"),
        ({"tiers": ()}, "tiers"),
        ({"load": (1.2, 0.9)}, "load"),
        ({"fault_pressure_hz": (0.0, 5.0)}, "fault_pressure_hz"),
        ({"cpu_overcommit": (-1.0, 2.0)}, "cpu_overcommit"),
        ({"monitor": 3}, "monitor must be 0, 1 or 2, not 3"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(changes, named):
    with pytest.raises(ScenarioError, match=named):
        FleetConfig(**changes)


def test_a_profile_that_does_not_exist_is_named(trace):
    with pytest.raises(ScenarioError, match="profile 'sawtooth' unknown"):
        FleetScenarios(trace, replace(CONFIG, profiles=("sawtooth",)))
    assert len(resolve_profiles(("measured", "power:0.4", "cliff:0.7", "streaming"))) == 11


def test_profiles_of_ones_own_are_page_curves_in_a_file_or_folder(trace, tmp_path):
    header = "size_blocks,size_bytes,miss_ratio,misses_per_kilo_instr\n"
    path = tmp_path / "mrc-mine-page4k.csv"
    path.write_text(header + "16,65536,0.05,20\n32,131072,0.03,12\n64,262144,0.001,0.4\n")
    (mine,) = resolve_profiles((f"file:{path}",))
    _, same_one = resolve_profiles(("streaming", f"file:{tmp_path}"))
    assert mine.name == same_one.name == "mine"
    scenario = FleetScenarios(trace, replace(CONFIG, profiles=(f"file:{path}",)))(0)
    assert np.array_equal(scenario.curve[np.argmax(scenario.present)], mine.curve)
    for broken in (tmp_path / "none.csv", tmp_path / "rises.csv"):
        (tmp_path / "rises.csv").write_text(header + "16,65536,0.05,20\n32,131072,0.3,120\n")
        with pytest.raises(CurveError, match=f"{broken}: "):
            resolve_profiles((f"file:{broken}",))
    with pytest.raises(ScenarioError, match="profile 'file:' unknown"):
        resolve_profiles(("file:",))


def test_a_trace_without_large_enough_vms_is_refused(trace):
    with pytest.raises(ScenarioError, match="lower smallest_vm_mib"):
        FleetScenarios(trace, replace(CONFIG, smallest_vm_mib=1e9))
