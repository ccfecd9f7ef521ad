"""Devices: shared bandwidth, what emulation costs, and what handing one through does."""

import numpy as np
import pytest

from gymbal_envs.simulator import layout as at
from gymbal_envs.simulator.devices import serve_io, switch_devices
from gymbal_envs.simulator.params import GIB, DeviceParams, PhysicsParams
from gymbal_runtime.command import Command

LEAVE = np.nan
DEVICES = DeviceParams(
    emulated_core_s_per_byte=0.8e-9,
    passthrough_core_s_per_byte=0.1e-9,
    emulated_bytes_s=1.2e9,
    switch_s=1.5,
)
PARAMS = PhysicsParams(devices=DEVICES)


@pytest.fixture(name="host")
def _host(plain_scenario, plain_resources, engine_of):
    def host(wanted, weight=0.5, **changes):
        resources = plain_resources(len(wanted), io_weight=weight, **changes)
        engine = engine_of([plain_scenario(len(wanted), resources=resources)], PARAMS)
        engine.vm[0, at.IO_WANTED] = wanted
        return engine

    return host


def serve(engine):
    serve_io(
        engine.world_vm[0], engine.world_host[0], engine.constants, engine.vm[0], engine.host[0],
        np.zeros((3, engine.num_vms)),
    )  # fmt: skip
    return engine.vm[0, at.IO_RATE]


def switch(engine, *modes):
    switch_devices(
        engine.world_vm[0], engine.world_host[0], engine.constants, np.array(modes, float),
        engine.vm[0],
    )  # fmt: skip
    return engine.vm[0, at.DEVICE_MODE].tolist()


def test_who_gets_all_it_wants_loses_nothing(host):
    engine = host([1e9, 0.5e9, 0.0])
    assert serve(engine).tolist() == [1e9, 0.5e9, 0.0]
    assert engine.vm[0, at.IO_SPEED].tolist() == [1.0, 1.0, 1.0]
    assert engine.host[0, at.IO_TAX] == pytest.approx(1.5e9 * DEVICES.emulated_core_s_per_byte)


def test_an_emulated_device_has_a_limit_and_the_real_one_another(host):
    engine = host([2e9, 2e9, 2e9])
    assert serve(engine).tolist() == [1e9] * 3  # 3 GB/s for three
    assert serve(host([2e9, 1e8])).tolist() == [DEVICES.emulated_bytes_s, 1e8]
    engine = host([2e9, 2e9, 0.4e9], device_bytes_s=2e9)
    np.testing.assert_allclose(serve(engine), [0.8e9, 0.8e9, 0.4e9])


def test_progress_lacks_what_the_device_lacks_as_far_as_it_needs_it(host):
    engine = host([2.4e9, 2.4e9], weight=[0.5, 0.1])
    serve(engine)
    np.testing.assert_allclose(engine.vm[0, at.IO_SPEED], [0.75, 0.95])


def test_switching_costs_its_outage_to_the_half_second(host):
    engine = host([1e9, 1e9])
    assert switch(engine, 1, LEAVE) == [1.0, 0.0]
    served = np.array([serve(engine).copy() for _ in range(3)])
    np.testing.assert_allclose(served, [[0.0, 1e9], [0.5e9, 1e9], [1e9, 1e9]])


def test_passthrough_goes_beyond_the_emulated_limit_and_spares_the_host(host):
    engine = host([2e9])
    switch(engine, 1)
    for _ in range(3):
        serve(engine)
    assert engine.vm[0, at.IO_RATE].tolist() == [2e9]
    assert engine.host[0, at.IO_TAX] == pytest.approx(2e9 * DEVICES.passthrough_core_s_per_byte)


def test_there_are_no_more_devices_than_there_are(host):
    engine = host([1e9] * 4)
    assert switch(engine, 1, 1, 1, 1) == [1.0, 1.0, 0.0, 0.0]
    # what is taken back is handed out in the same breath
    assert switch(engine, 0, LEAVE, 1, 1) == [0.0, 1.0, 1.0, 0.0]


def test_saying_what_is_so_or_makes_no_sense_costs_nothing(host):
    engine = host([1e9, 1e9])
    before = engine.vm.copy()
    assert switch(engine, 0, 0.5) == [0.0, 0.0]
    assert switch(engine, LEAVE, np.inf) == [0.0, 0.0]
    assert engine.vm.tobytes() == before.tobytes()


def test_a_host_without_a_device_hands_none_through(host):
    assert switch(host([0.0], device_bytes_s=0.0), 1) == [0.0]


def test_a_device_handed_through_pins_the_memory_of_its_vm(host):
    engine = host([0.0, 0.0])
    pinned = Command(np.array([[1.8 * GIB, LEAVE]]), device_mode=np.array([[1.0, LEAVE]]))
    engine.step(pinned, 5)
    assert engine.vm[0, at.ACTUAL].tolist() == [2 * GIB] * 2
    engine.step(Command(np.full((1, 2), LEAVE), device_mode=np.array([[0.0, LEAVE]])), 5)
    assert engine.vm[0, at.ACTUAL].tolist() == [1.8 * GIB, 2 * GIB]
    engine.step(Command(np.array([[2 * GIB, LEAVE]]), device_mode=np.array([[1.0, LEAVE]])), 5)
    assert engine.vm[0, at.ACTUAL].tolist() == [1.8 * GIB, 2 * GIB]


def test_emulation_takes_cores_from_everybody(plain_scenario, plain_resources, engine_of):
    resources = plain_resources(2, io_bytes_s=1e9, cap_cores=8.0)
    scenario = plain_scenario(resources=resources, cores=2.0, cpu_cores=4.0)
    engine = engine_of([scenario], PARAMS)
    engine.step(Command.no_change(1, 2), 1)
    np.testing.assert_allclose(engine.vm[0, at.GRANTED_CORES], (4.0 - 2 * 0.8) / 2, rtol=1e-6)
