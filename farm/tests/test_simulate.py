import pytest
from srfusion_farm.simulate import Figures, simulate, table


def test_one_slot_takes_the_sum():
    figures = Figures(frames_per_second=5, rate=25, segment=10, start=2, join=36, dispatch=0.0)
    # Six minutes: 36 segments of 2 + 50 s, and a tenth of an hour to join.
    assert simulate(0.1, 1, 1, figures) == pytest.approx(36 * 52 + 3.6)


def test_more_slots_are_faster_until_something_else_is_short():
    figures = Figures(frames_per_second=2, dispatch=0.01, storage=1e9, bytes_per_hour=8e9)
    rows = table(100, 60, [1, 10, 100, 1000], figures)
    hours = [row[1] for row in rows]
    assert hours == sorted(hours, reverse=True)
    assert rows[0][3] == pytest.approx(1) and all(row[3] <= 1.0001 for row in rows)
    assert rows[1][3] > 0.99
    # The storage gives a film of 8 GB an hour at 1 GB a second: never faster than that.
    crowded = simulate(100, 60, 100_000, figures)
    assert crowded >= 100 * 8
    # And the driver hands out one piece of work after the other.
    slow = Figures(frames_per_second=1e6, start=0, dispatch=1.0, storage=1e15)
    assert simulate(1, 1, 1000, slow) >= 360


def test_a_film_is_joined_when_its_last_segment_is_made():
    figures = Figures(frames_per_second=25, rate=25, segment=10, start=0, join=3600, dispatch=0)
    # A film of 10 s on a thousand slots: its segment, then its join of 10 s.
    assert simulate(10 / 3600, 1, 1000, figures) == pytest.approx(20)
