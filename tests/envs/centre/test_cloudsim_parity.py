"""CloudSim 3.0.3's own results on a day of PlanetLab traces (models.md section 7.3)."""

import math
from functools import cache
from pathlib import Path

import pytest

from gymbal_envs.demand.planetlab import read_planetlab
from gymbal_envs.simulator.centre.cloudsim import planetlab_centre

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT.parent / "shared" / "data" / "planetlab" / "planetlab_cpu.npz"
LISTING = ROOT / "benchmarks" / "cloudsim_listing_20110303.txt"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason="../shared/data/planetlab is not there")


@cache
def day(order):
    return read_planetlab(DATA, "20110303", order)


@cache
def as_cloudsim_read_it():
    lines = LISTING.read_text().splitlines()
    rows = [int(word) for line in lines if not line.startswith("#") for word in line.split()]
    assert sorted(rows) == list(range(1052))
    return day("name").cpu_pct[rows]


@pytest.mark.parametrize(
    ("policy", "kwh", "migrations", "shutdowns", "slav", "pdm", "slatah"),
    [
        ("DVFS", 764.96, 0, 473, 0.0, 0.0, 0.0),
        ("THR-MMT-0.8", 198.08, 27728, 6109, 0.00357, 0.07, 5.00),
        ("IQR-MMT-1.5", 193.63, 27592, 6045, 0.00342, 0.07, 5.02),
        ("MAD-MMT-2.5", 189.79, 27781, 5981, 0.00357, 0.07, 5.09),
        ("LR-MMT-1.2", 167.83, 27649, 5190, 0.00432, 0.08, 5.72),
        ("LRR-MMT-1.2", 167.83, 27649, 5190, 0.00432, 0.08, 5.72),
    ],
)
def test_all_printed_digits_agree(policy, kwh, migrations, shutdowns, slav, pdm, slatah):
    result = planetlab_centre(as_cloudsim_read_it(), policy).run()
    assert round(result.energy_kwh, 2) == kwh
    assert (result.migrations, result.shutdowns) == (migrations, shutdowns)
    assert round(100 * result.slav, 5) == slav
    assert round(100 * result.pdm, 2) == pdm
    assert round(100 * result.slatah, 2) == slatah


def test_full_power_is_analytic():
    result = planetlab_centre(as_cloudsim_read_it(), "NPA").run()
    assert round(result.energy_kwh, 2) == 2410.80
    assert result.energy_kwh == pytest.approx(400 * (117 + 135) * 86100.1 / 3.6e6)


@pytest.mark.parametrize(
    ("policy", "kwh"),
    [
        ("DVFS", 803.9), ("THR-MMT-0.8", 191.7), ("IQR-MMT-1.5", 188.9), ("MAD-MMT-2.5", 184.9),
        ("LR-MMT-1.2", 163.2),
    ],
)  # fmt: skip
def test_energies_reported_by_others_come_from_the_caseless_order(policy, kwh):
    result = planetlab_centre(day("caseless").cpu_pct, policy).run()
    assert math.floor(10 * result.energy_kwh + 0.5) / 10 == kwh
