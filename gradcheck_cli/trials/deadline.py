"""The time that trials may take, kept also while the user's own code runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch.nn.modules.module import register_module_forward_pre_hook

_STEPS_TO_JUDGE = 3  # of a training run, before its length is estimated from them


class OutOfTime(BaseException):
    """The time is up. No Exception, so that user code which catches those lets it through."""


class Deadline:
    """A point in time after which `check` raises OutOfTime."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, negative when time is up."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Raise OutOfTime when time is up."""
        if self.left <= 0:
            raise OutOfTime

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Check at every call of a module, so that a long forward pass ends soon after time is up."""
        handle = register_module_forward_pre_hook(lambda *_: self.check())
        try:
            yield
        finally:
            handle.remove()

    def pace(self, steps: int) -> Callable[[], None]:
        """Return a check for before each of `steps` equal steps: it also raises as soon as they can no longer all fit.

        The first step does not count: torch imports and compiles things in it.
        """
        begun, done = time.monotonic(), 0

        def check() -> None:
            nonlocal begun, done
            self.check()
            if done == 1:
                begun = time.monotonic()
            elif done >= _STEPS_TO_JUDGE and (time.monotonic() - begun) / (done - 1) * (steps - done) > self.left:
                raise OutOfTime
            done += 1

        return check
