"""Settings of the whole suite."""

from __future__ import annotations

import os

# Two test processes share the cores already; a pool of threads in each would only wait for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
