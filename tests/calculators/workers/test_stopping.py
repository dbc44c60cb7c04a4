"""A job is told in time that it is to end, and a frame in flight can be given up."""

from __future__ import annotations

import os
import signal
import time

import pytest

from hashigo.calculators.workers.stopping import SIGNALS, FrameCut, Stop, saving_time


def frame_with_a_signal(number):
    """Computing a frame, a signal arrives."""
    os.kill(os.getpid(), number)
    time.sleep(20)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_reason_and_cuts_the_frame_in_flight(number):
    before = signal.getsignal(number)
    with Stop() as stop:
        assert stop.reason == ""
        begin = time.monotonic()
        with pytest.raises(FrameCut), stop.cutting():
            frame_with_a_signal(number)
        assert time.monotonic() - begin < 5
        assert stop.reason == f"the job got {number.name}"
    assert signal.getsignal(number) == before


def test_the_walltime_is_a_reason_before_it_is_over():
    with Stop(walltime=3.0, begun=time.monotonic() - 0.9) as stop:
        assert stop.reason == ""
        time.sleep(0.2)
        assert stop.reason == "its walltime of 3 s is nearly over"
        assert 0 < stop.time_left < 2
        with pytest.raises(FrameCut), stop.cutting():
            time.sleep(10)
        with pytest.raises(FrameCut), stop.cutting():
            pass


def test_without_a_limit_nothing_is_cut():
    with Stop() as stop, stop.cutting():
        assert stop.time_left == float("inf")


def test_time_for_saving_grows_with_the_walltime_up_to_a_minute():
    assert [saving_time(walltime) for walltime in (10, 100, 3600)] == [2.0, 10.0, 60.0]
