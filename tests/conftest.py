"""Settings of the whole suite: whatever machine, shell or order it runs in, every test sees the same surroundings."""

from __future__ import annotations

import os
import random
import signal
import sys

import pytest
from hypothesis import settings

# Two test processes share the cores already: a pool of threads in each would wait for the other, and add in another order.
os.environ["OMP_NUM_THREADS"] = "1"

# What would change the command's output or behaviour, in this process and in those that tests start.
for _name in list(os.environ):
    if _name.startswith("GRADCHECK_") or _name in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "PYTHONWARNINGS"}:
        del os.environ[_name]

# A shell that runs the suite in the background has Ctrl-C ignored, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples every time, however slow the machine, and no file left behind. --hypothesis-profile=default draws others.
settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.load_profile("steady")


@pytest.fixture(autouse=True)
def _the_same_random_numbers() -> None:
    """Start every test from one state of the global generators, whichever tests ran before it in this process."""
    random.seed(0)
    if "numpy" in sys.modules:  # tests of the command line alone load neither
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
