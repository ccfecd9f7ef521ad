"""OpenStack Watcher's strategies, worked through by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gymbal_runtime.centre.heuristics import make_centre_heuristic
from gymbal_runtime.centre.orders import SLEEP, WAKE
from gymbal_runtime.centre.telemetry import ASLEEP, NOWHERE

GIB = 2**30


def act(record, name, **options):
    orders = make_centre_heuristic(name, **options).act(record)
    return orders.target[0].tolist(), orders.power[0].tolist()


def test_workload_balance__brings_the_fullest_host_nearest_to_the_mean(centre):
    # Mean 0.2, host 0 is 0.35 above it at 0.55: of 0.1, 0.15 and 0.3 the last comes nearest; it
    # would leave host 2 at 0.3 and host 1 at 0.35, both above the threshold of a quarter.
    record = centre([[0.1, 0.15, 0.3], [0.05], [0.0]])
    stays = [NOWHERE] * 5
    assert act(record, "workload_balance") == (stays, [0, 0, 0])
    assert act(record, "workload_balance", threshold=0.32)[0] == [
        NOWHERE,
        NOWHERE,
        2,
        NOWHERE,
        NOWHERE,
    ]
    # A VM that would bring it below the mean stays.
    assert (
        act(centre([[0.55], [0.05], [0.0]]), "workload_balance", threshold=0.5)[0] == [NOWHERE] * 3
    )


def test_workload_balance__means_over_its_period(centre):
    record = centre([[0.1, 0.4], [0.0]], past=[[0.1], [0.0], [0.0]])
    assert act(record, "workload_balance", threshold=0.45)[0] == [1, NOWHERE, NOWHERE]
    assert act(record, "workload_balance", threshold=0.45, period_s=600.0)[0] == [NOWHERE] * 3


def test_workload_stabilization__moves_until_loads_are_even(centre):
    # Loads 0.6 and 0 deviate by 0.3. With all hosts tried, 0.3 away is even.
    record = centre([[0.1, 0.2, 0.3], []])
    target, power = act(record, "workload_stabilization", retry_count=0.0)
    assert target == [NOWHERE, NOWHERE, 1]
    assert power == [0, 0]


def test_workload_stabilization__leaves_small_deviations(centre):
    record = centre([[0.1, 0.2], [0.2]])
    assert act(record, "workload_stabilization", retry_count=0.0)[0] == [NOWHERE] * 3
    assert (
        act(record, "workload_stabilization", retry_count=0.0, threshold=0.01)[0] == [NOWHERE] * 3
    )
    record = centre([[0.1, 0.3], [0.2]])
    assert act(record, "workload_stabilization", retry_count=0.0)[0] == [NOWHERE] * 3
    assert act(record, "workload_stabilization", retry_count=0.0, threshold=0.05)[0] == [1, -1, -1]


def test_workload_stabilization__makes_a_second_move_where_it_still_helps(centre):
    # 0.9, 0, 0: 0.3 to the first, then the next 0.3; what went to host 1 in both cases is tried
    # again after the first move, and then would not help.
    record = centre([[0.3, 0.3, 0.3], [], []], time_s=300.0)
    target, _ = act(record, "workload_stabilization", retry_count=0.0)
    assert sum(t != NOWHERE for t in target) == 1
    several = {tuple(act(record, "workload_stabilization", seed=k)[0]) for k in range(30)}
    assert any(sorted(t)[1:] == [1, 2] for t in several)


def test_vm_workload_consolidation__offloads_to_the_busiest_with_room(centre):
    # Host 2 has 1.2: 0.2 goes, to host 1, at 0.8 then. Host 0 is emptied onto nobody: 0.3 fits
    # nowhere else.
    record = centre([[0.3], [0.6], [0.2, 0.45, 0.55]])
    target, power = act(record, "vm_workload_consolidation")
    assert target == [NOWHERE, NOWHERE, 1, NOWHERE, NOWHERE]
    assert power == [0, 0, 0]


def test_vm_workload_consolidation__packs_from_the_least_used_into_the_busiest(centre):
    record = centre([[0.1], [0.3, 0.15], [0.5]])
    # Host 0 goes to host 2; of host 1 the larger to host 2 (0.9) as well, the smaller no longer.
    target, power = act(record, "vm_workload_consolidation")
    assert target == [2, 2, NOWHERE, NOWHERE]
    assert power == [SLEEP, 0, 0]


def test_vm_workload_consolidation__keeps_to_memory(centre):
    # Host 3 has no memory left. Hosts 0 and 1 are emptied into host 2, the busiest that has.
    record = centre([[0.1], [0.2], [0.3], [0.4]], vm_memory_bytes=np.array([1, 1, 2, 3.5]) * GIB)
    target, power = act(record, "vm_workload_consolidation")
    assert target == [2, 2, NOWHERE, NOWHERE]
    assert power == [SLEEP, SLEEP, 0, 0]


def test_vm_workload_consolidation__from_a_to_b_to_c_is_from_a_to_c(centre):
    # Hosts 2 (1.1) and 1 (1.05) are overloaded. VM 3 (0.15) fits on host 0 only, then VM 1 (0.25)
    # too. When host 0 is to be emptied, host 1 has room for VM 3.
    record = centre([[0.3], [0.25, 0.8], [0.15, 0.95]])
    target, power = act(record, "vm_workload_consolidation")
    assert target == [NOWHERE, 0, NOWHERE, 1, NOWHERE]
    assert power == [0, 0, 0]


def test_vm_workload_consolidation__from_a_to_b_to_a_is_no_move(centre):
    # Host 1 (1.08) gives 0.05 and 0.1 to host 0; then 0.05 fits on it again.
    record = centre([[0.2], [0.05, 0.1, 0.93]])
    assert act(record, "vm_workload_consolidation")[0] == [NOWHERE, NOWHERE, 0, NOWHERE]


def test_vm_workload_consolidation__wakes_a_host_where_offloading_fails(centre):
    record = centre([[0.7, 0.5], [0.9], []], state=[0, 0, ASLEEP])
    target, power = act(record, "vm_workload_consolidation")
    assert (target, power) == ([NOWHERE] * 3, [0, 0, WAKE])


def test_basic_consolidation__releases_the_least_utilised(centre):
    # Use decides the order, configured sizes decide what fits: with one vCPU a core nothing does.
    record = centre([[0.2], [0.9], [0.5]])
    target, power = act(record, "basic_consolidation")
    assert target == [1, NOWHERE, 1]
    assert power == [SLEEP, 0, SLEEP]
    assert act(record, "basic_consolidation", vcpus_per_core=1.0) == ([NOWHERE] * 3, [0, 0, 0])
    # With two, host 0 goes to the fullest, and host 2 finds it full.
    target, power = act(record, "basic_consolidation", vcpus_per_core=2.0)
    assert (target, power) == ([1, NOWHERE, NOWHERE], [SLEEP, 0, 0])


def test_basic_consolidation__may_leave_a_host_half_empty(centre):
    # Host 1 has 1 GiB left: of host 0 the VM goes first that uses most of its MIPS.
    record = centre([[0.1, 0.15], [0.9]], vm_memory_bytes=[GIB, GIB, 3 * GIB])
    assert act(record, "basic_consolidation") == ([NOWHERE, 1, NOWHERE], [0, 0])


@pytest.mark.parametrize(("attempts", "released"), [(0.0, True), (1.0, False)])
def test_basic_consolidation__gives_up_after_attempts(centre, attempts, released):
    # Hosts 0 and 1 have VMs that are too large to move; host 2's fits on host 3.
    record = centre(
        [[0.1], [0.2], [0.3], [0.4]], vm_memory_bytes=np.array([3.5, 3.5, 1, 2]) * GIB,
    )  # fmt: skip
    target, _ = act(record, "basic_consolidation", attempts=attempts)
    assert (target[2] == 3) == released
