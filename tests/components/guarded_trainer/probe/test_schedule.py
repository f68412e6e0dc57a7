# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.guarded_trainer.probe.schedule import ProbeSchedule


def due(schedule, epochs):
    return [epoch for epoch in range(epochs) if schedule.due(epoch)]


def test_long_epochs_are_all_looked_at():
    assert due(ProbeSchedule(1000, 128, 32), 6) == [0, 1, 2, 3, 4, 5]


def test_short_epochs_are_looked_at_in_the_beginning_and_now_and_then():
    assert due(ProbeSchedule(36, 128, 32), 30) == [0, 1, 2, 9, 19, 29]


@pytest.mark.parametrize(
    ("steps", "every"),
    [
        pytest.param(512, 1, id="exactly-within-the-share"),
        pytest.param(511, 2, id="just-beyond"),
        pytest.param(1, 10, id="one-step"),
        pytest.param(0, 10, id="no-steps"),
    ],
)
def test_interval_follows_from_the_cost_in_steps(steps, every):
    schedule = ProbeSchedule(steps, 128, 32)
    assert schedule.cost == pytest.approx(1.15 * 10 / 3)
    assert schedule.every == every


def test_probe_smaller_than_a_batch_costs_less_than_its_step_twice():
    assert ProbeSchedule(100, 32, 32).cost < ProbeSchedule(100, 32, 16).cost < 3


@given(
    st.integers(1, 10_000),
    st.integers(1, 1000),
    st.integers(1, 512),
    st.floats(0.001, 1),
)
def test_readings_cost_no_more_than_their_share(steps, examples, batch, share):
    schedule = ProbeSchedule(steps, examples, batch, share)
    looked = len(due(schedule, 503)) - 3
    if schedule.every < 10:
        assert looked * schedule.cost <= share * 503 * steps * (1 + 1e-9)
