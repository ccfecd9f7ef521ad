from __future__ import annotations

from dataclasses import fields

import numpy as np

from gymbal_runtime.cluster.telemetry import ClusterTelemetry, empty_cluster


def test_per_host__is_a_view_of_the_hosts_rows(random_cluster):
    record = random_cluster(0, 3, 4, 5)
    actual = record.per_host(record.hosts.actual_bytes)
    assert actual.shape == record.shape == (3, 4, 5)
    assert np.shares_memory(actual, record.hosts.actual_bytes)
    np.testing.assert_array_equal(actual[2, 1], record.hosts.actual_bytes[2 * 4 + 1])


def test_take_clusters__takes_their_hosts_along(random_cluster):
    record = random_cluster(1, 4, 3, 5)
    taken = record.take_clusters(np.array([3, 1]))
    assert taken.shape == (2, 3, 5)
    for field in fields(ClusterTelemetry):
        if field.name == "hosts":
            continue
        expected = getattr(record, field.name)[[3, 1]]
        np.testing.assert_array_equal(getattr(taken, field.name), expected, field.name)
    np.testing.assert_array_equal(taken.present[0], record.present[3])
    np.testing.assert_array_equal(taken.time_s, record.time_s[[3, 1]])


def test_vacant__is_neither_held_nor_reserved_nor_on_an_absent_host(random_cluster):
    record = random_cluster(2)
    assert not (record.vacant & (record.present | record.arriving)).any()
    assert not record.vacant[~record.exists].any()


def test_empty_cluster__has_room_for_vms_but_none():
    frame = empty_cluster(2, 3, 4)
    assert frame.vacant.all()
    assert (frame.vm_id == -1).all()
    assert frame.exists.all()
