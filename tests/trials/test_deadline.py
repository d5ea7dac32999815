"""The time budget, on a clock that the test moves."""

import pytest
import torch
from torch import nn

from gradcheck_cli.trials import deadline
from gradcheck_cli.trials.deadline import Deadline, OutOfTime


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(deadline, "time", made)
    return made


def test_time_is_up_only_afterwards(clock: Clock) -> None:
    limit = Deadline(10.0)
    clock.now += 9.9
    limit.check()
    assert limit.left == pytest.approx(0.1)
    clock.now += 0.2
    with pytest.raises(OutOfTime):
        limit.check()


def test_a_forward_pass_ends_at_the_next_module_although_the_model_catches_exceptions(clock: Clock) -> None:
    seen: list[str] = []

    class Stubborn(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            try:
                self.inner(x)
                seen.append("once")
                clock.now += 11.0
                self.inner(x)
                seen.append("twice")
            except Exception:
                seen.append("caught")
            return x

    model = Stubborn()
    with pytest.raises(OutOfTime), Deadline(10.0).kept():
        model(torch.ones(1))
    assert seen == ["once"]
    clock.now += 100.0
    model(torch.ones(1))  # nothing is left behind
    assert seen == ["once", "once", "twice"]


def test_a_run_that_cannot_end_in_time_stops_early(clock: Clock) -> None:
    check = Deadline(10.0).pace(100)
    for _ in range(3):
        check()
        clock.now += 0.5  # 50 seconds in all
    with pytest.raises(OutOfTime):
        check()


def test_a_slow_first_step_says_nothing_of_the_others(clock: Clock) -> None:
    limit = Deadline(10.0)
    check = limit.pace(100)
    for step in range(100):
        check()
        clock.now += 0.01 if step else 5.0
    assert limit.left == pytest.approx(10.0 - 5.0 - 99 * 0.01)


def test_a_run_that_fits_is_left_alone(clock: Clock) -> None:
    limit = Deadline(10.0)
    check = limit.pace(100)
    for _ in range(100):
        check()
        clock.now += 0.09
    assert limit.left == pytest.approx(1.0)
