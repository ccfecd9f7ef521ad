"""The policy in ``policies/`` is what the README says it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gymbal_runtime.bundle import Bundle, read_bundle
from gymbal_runtime.centre.codec import CentreCodec
from gymbal_runtime.cluster.layers.codec import LayersCodec
from gymbal_runtime.codec import default_codec
from gymbal_runtime.placement.codec import PlacementCodec
from gymbal_runtime.policy import DecisionError
from gymbal_runtime.tasks import HOST
from gymbal_runtime.training_range import check_measured

POLICIES = Path(__file__).parents[2] / "policies"


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return read_bundle(POLICIES / "balloon.gymbal")


def test_it_corrects_the_heuristic_that_the_environment_corrects(shipped: Bundle) -> None:
    assert shipped.manifest.fingerprint == default_codec().fingerprint()
    assert {row["scenarios"] for row in shipped.manifest.evaluation} >= {"synthetic"}


@pytest.mark.parametrize("num_vms", [2, 5, 40, 64])
def test_one_bundle_serves_any_number_of_vms_in_any_order(
    shipped: Bundle, make_record, num_vms: int
) -> None:
    rng = np.random.default_rng(num_vms)
    record = make_record(rng, 3, num_vms)
    order = rng.permutation(num_vms)
    agent = shipped.agent()
    agent.reset(3, num_vms)
    told = agent.act(record).balloon_bytes
    agent.reset(3, num_vms)
    moved = agent.act(record.take_vms(order)).balloon_bytes
    budget = record.budget_bytes[:, None]
    np.testing.assert_allclose(moved / budget, told[:, order] / budget, atol=1e-5)
    held = np.where(record.present, told, 0.0)
    assert np.all(held.sum(axis=1) <= record.budget_bytes * (1 + 1e-12))


def test_its_model_card_lies_beside_it(shipped: Bundle) -> None:
    assert (POLICIES / "balloon.md").read_text() == shipped.model_card


def test_the_policy_of_whole_hosts_is_of_the_task_as_it_is() -> None:
    bundle = read_bundle(POLICIES / "host.gymbal")
    assert bundle.manifest.fingerprint == default_codec(HOST).fingerprint()
    assert (POLICIES / "host.md").read_text() == bundle.model_card
    assert {row["scenarios"] for row in bundle.manifest.evaluation} == {"synthetic"}


def test_a_policy_for_guests_that_report_little_decides_for_them(make_record) -> None:
    """What a virtio balloon does not tell is silent; this policy decides, the other does not."""
    bundle = read_bundle(POLICIES / "balloon_guests.gymbal")
    assert (POLICIES / "balloon_guests.md").read_text() == bundle.model_card
    record = make_record(np.random.default_rng(0), 1, 4)
    for name in (
        "swap_latency_s", "swap_used_bytes", "psi_some_frac", "active_bytes", "lru_hit_rate",
    ):  # fmt: skip
        getattr(record, name)[:] = np.nan
    known = bundle.manifest.training_range
    check_measured(record, known)
    with pytest.raises(DecisionError, match="lru_hit_rate"):
        check_measured(record, read_bundle(POLICIES / "balloon.gymbal").manifest.training_range)


def test_the_policy_of_data_centres_corrects_the_best_rule() -> None:
    bundle = read_bundle(POLICIES / "consolidation.gymbal")
    codec = CentreCodec(heuristic="iqr_mmt", options={"fill_frac": 0.82, "parameter": 0.6})
    assert bundle.manifest.fingerprint == codec.fingerprint()
    assert (POLICIES / "consolidation.md").read_text() == bundle.model_card


def test_the_policy_of_placement_corrects_the_table_of_compatibility() -> None:
    bundle = read_bundle(POLICIES / "placement.gymbal")
    assert bundle.manifest.fingerprint == PlacementCodec().fingerprint()
    assert (POLICIES / "placement.md").read_text() == bundle.model_card


def test_the_policy_of_all_layers_corrects_the_tuned_stack() -> None:
    bundle = read_bundle(POLICIES / "cluster.gymbal")
    assert bundle.manifest.fingerprint == LayersCodec().fingerprint()
    assert (POLICIES / "cluster.md").read_text() == bundle.model_card
