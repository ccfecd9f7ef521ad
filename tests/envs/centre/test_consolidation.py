"""Placement and rounds of consolidation on a few hosts, worked through by hand."""

from dataclasses import dataclass

import numpy as np
import pytest

from gymbal_envs.simulator.centre.cloudsim_example import HOST_MODELS, VmModel
from gymbal_envs.simulator.centre.cloudsim_loading import (
    new_books,
    new_centre,
    new_guests,
    new_hosts,
    new_plan,
)
from gymbal_runtime.centre.rules.consolidation import Plan, plan_migrations
from gymbal_runtime.centre.rules.detection import HISTORY, LR, THR, Rule
from gymbal_runtime.centre.rules.placement import Books, Hosts, find_host, put, take_back
from gymbal_runtime.centre.rules.power import power_w
from gymbal_runtime.centre.rules.selection import MMT, Guests

G4, G5 = HOST_MODELS
THR_MMT = Rule(THR, 0.8, MMT, 1.0)


@dataclass
class World:
    """Hosts with VMs that ask for given MIPS; VM i is the i-th of all lists together."""

    hosts: Hosts
    guests: Guests
    books: Books
    plan: Plan
    utilisation: np.ndarray

    def moves(self, rule=THR_MMT):
        plan_migrations(
            rule, self.utilisation, self.hosts, self.guests, self.books, self.plan,
            np.zeros(1, np.uint64),
        )  # fmt: skip
        count = self.plan.num_moves[0]
        return list(zip(self.plan.vm[:count], self.plan.host[:count], strict=True))

    def place(self, vm, rule=THR_MMT):
        candidates = np.arange(len(self.utilisation))
        return find_host(
            vm, candidates, len(candidates), rule, self.hosts, self.guests, self.books,
            np.zeros(2 * HISTORY),
        )  # fmt: skip


def world(models, asked, homeless=(), ram_mb=None):
    """Make a world; ``homeless`` VMs come last and are nowhere."""
    wants = [mips for host in asked for mips in host] + list(homeless)
    sizes = ram_mb or [600.0] * len(wants)
    guests = new_guests([VmModel(2500.0, size) for size in sizes])
    guests.requested_mips[:] = wants
    guests.utilisation[:] = guests.requested_mips / guests.mips
    hosts, trace = new_hosts(models), np.zeros((2, len(wants)))
    centre = new_centre(len(models), len(wants), trace)
    books = new_books(centre.vms, [model.ram_mb for model in models])
    vm = 0
    for h, host in enumerate(asked):
        books.load_mips[h] = books.requested_mips[h] = sum(host)
        books.free_mips[h] = hosts.capacity_mips[h] - sum(host)
        for _ in host:
            books.vms[h, books.num_vms[h]] = vm
            books.num_vms[h] += 1
            vm += 1
    utilisation = books.load_mips / hosts.capacity_mips
    books.power_w[:] = [power_w(hosts.watts[h], utilisation[h]) for h in range(len(models))]
    return World(hosts, guests, books, new_plan(len(models), len(wants)), utilisation)


def test_a_vm_goes_where_power_rises_least():
    # 372 MIPS are a tenth of a G4: 89.4 - 86 = 3.4 W when empty, 92.6 - 89.4 = 3.2 W at 10 %. Of an
    # empty G5 they are 7 %: 3.3 W times 0.7 = 2.3 W.
    assert world([G4, G4], [[], [372.0]], [372.0]).place(1) == 1
    assert world([G4, G4, G5], [[], [372.0], []], [372.0]).place(1) == 2


def test_of_equals_the_first_is_taken():
    assert world([G5, G4, G4], [[5000.0], [], []], [500.0]).place(1) == 1


def test_a_host_that_would_be_overloaded_is_not_taken():
    # 3000 of 3720 MIPS are 80.6 %, 4300 of 5320 are 80.8 %.
    assert world([G4, G5], [[2900.0], [4200.0]], [100.0]).place(2) == -1
    assert world([G4], [[2900.0]], [100.0]).place(1) == -1
    assert world([G4], [[2800.0]], [100.0]).place(1) == 0


def test_an_empty_host_is_never_overloaded_by_one_vm():
    rule = Rule(THR, 0.1, MMT, 1.0)
    assert world([G4], [[]], [1800.0]).place(0, rule) == 0


def test_a_vm_needs_one_core_that_is_fast_enough():
    assert world([G4, G5], [[], [1000.0]], [1900.0]).place(1) == 1


def test_a_vm_needs_memory():
    tight = world([G4, G4], [[], []], [500.0])
    tight.guests.requested_ram_mb[0] = 1000.0
    tight.books.free_ram_mb[0] = 999.0
    assert tight.place(0) == 1


def test_history_counts_with_the_vm_on_the_host():
    # Alone each VM's line stays low; together they rise to 99 % of the host.
    pair = world([G4], [[1000.0]], [1000.0])
    rising = np.linspace(0.6, 0.3, 10)  # newest first, of 2500 MIPS
    pair.guests.history[:, :10] = rising
    pair.guests.samples[:] = 10
    pair.books.history[0, :10] = rising * 2500.0 / 3720.0
    assert pair.place(1, Rule(LR, 1.0, MMT, 1.0)) == 0
    assert pair.place(1, Rule(LR, 1.2, MMT, 1.0)) == -1


def test_bookings_are_undone_to_the_last_bit():
    changed = world([G4, G5], [[123.4], [567.8]], [0.1, 0.2, 0.3])
    books, saved = changed.books, changed.plan.saved
    changed.guests.samples[:] = 3
    changed.guests.history[:, :3] = 0.1
    before = [table.copy() for table in books]
    for step, (vm, host) in enumerate([(2, 0), (3, 0), (4, 1)]):
        put(vm, host, changed.hosts, changed.guests, books, saved, step)
    assert books.load_mips[0] == pytest.approx(123.7)
    assert books.vms[0, :3].tolist() == [0, 2, 3]
    take_back(books, saved, 3)
    for name, old, new in zip(books._fields, before, books, strict=True):
        if name != "vms":
            np.testing.assert_array_equal(old, new, err_msg=name)


def test_victims_leave_until_the_host_is_relieved():
    # 3600 of 3720 MIPS; the least memory goes first: 2700 are left, 72.6 %.
    busy = world(
        [G4, G5], [[900.0, 900.0, 900.0, 900.0], [1500.0]], ram_mb=[700, 600, 600, 700, 900]
    )
    assert busy.moves() == [(1, 1)]


def test_victims_are_placed_by_demand():
    busy = world(
        [G4, G4, G4], [[1200.0, 1800.0, 700.0], [100.0], [2000.0]], ram_mb=[600, 900, 600, 900, 900]
    )
    # 3700 are 99 %, 2500 are 67 %: VM 0 alone leaves. With it host 1 has 35 %, host 2 has 86 %.
    assert busy.moves()[0] == (0, 1)


def test_a_victim_without_a_host_stays():
    assert world([G4, G4], [[1800.0, 1800.0], [1800.0, 1100.0]]).moves() == []


def test_the_least_used_host_is_emptied_and_no_host_is_switched_on():
    quiet = world([G4, G4, G4], [[600.0], [300.0, 200.0], []])
    # Host 1 is emptied into host 0, larger VM first; then host 0 is closed, and host 2 is off.
    assert quiet.moves() == [(1, 0), (2, 0)]


def test_a_host_is_emptied_entirely_or_not_at_all():
    # Host 0 could give away 200 MIPS but not 900 too.
    assert world([G4, G4], [[900.0, 200.0], [2000.0]]).moves() == []


def test_a_host_that_could_not_be_emptied_takes_no_vms():
    # Host 0 goes first, and its 1700 fit nowhere. Host 1 could be emptied into hosts 2 and 0
    # (2900 each, 78 %), but host 0 is closed.
    assert world([G4] * 3, [[1700.0], [600.0, 600.0, 600.0], [2300.0]]).moves() == []


def test_a_victim_moves_twice_when_its_first_target_is_emptied():
    # VM 0 leaves host 0 for host 1, whose power is made to rise least. Host 1, measured at 5 %, is
    # then emptied into host 2, VM 0 included.
    twice = world(
        [G4, G4, G5], [[600.0, 1800.0, 1100.0], [186.0], [2000.0]], ram_mb=[500, 900, 900, 900, 900]
    )
    twice.books.power_w[1] += 20.0
    assert twice.moves() == [(0, 1), (0, 2), (3, 2)]


def test_overloads_are_found_by_what_is_asked_for_not_by_what_is_given():
    capped = world([G4, G4], [[2500.0, 1000.0], [100.0]], ram_mb=[600, 500, 900])
    capped.books.load_mips[0] = 1860.0 + 1000.0
    assert capped.moves()[0] == (1, 1)
