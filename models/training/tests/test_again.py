"""Patches drawn once more."""

import numpy as np
import pytest
import torch

from srfusion_training.data.again import Again


class Numbered:
    """Batches of two patches; each carries its number in every sample, and a mark in one corner."""

    def __init__(self) -> None:
        self.drawn = 0

    def draw(self):
        low, high = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 16, 16)
        for index in range(2):
            low[index], high[index] = self.drawn / 255.0, self.drawn / 255.0
            low[index, :, 0, 1], high[index, :, 0:4, 4:8] = 1.0, 1.0
            self.drawn += 1
        return low, high


def test_what_is_drawn_again_was_drawn_before_and_both_sides_are_turned_alike():
    source = Numbered()
    again = Again(source, 0.25, 3)
    turned = 0
    for _ in range(200):
        low, high = again.draw()
        assert low.shape == (2, 3, 4, 4) and high.shape == (2, 3, 16, 16)
        for one, large in zip(low, high):
            assert int((one.min() * 255).round()) < source.drawn
            assert torch.equal(one.repeat_interleave(4, 1).repeat_interleave(4, 2), large)
            turned += bool(one[0, 0, 1] != 1.0)
    assert 60 < source.drawn < 140  # a quarter of 400
    assert turned > 80  # of some 300 again, half are turned, and of these seven in eight look different


def test_the_oldest_is_forgotten_first():
    again = Again(Numbered(), 1.0, 3, most=4)
    for _ in range(5):
        again.draw()
    assert sorted(int(low.min()) for low, _ in again.kept.items) == [6, 7, 8, 9]


@pytest.mark.parametrize("fresh", [0.0, -1.0, 1.5, np.nan])
def test_a_share_that_is_none_is_refused(fresh):
    with pytest.raises(ValueError, match="0 < fresh <= 1, found"):
        Again(Numbered(), fresh, 3)
