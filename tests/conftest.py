"""Settings of the whole suite."""

from __future__ import annotations

import os
import signal

# Two test processes share the cores already; a pool of threads in each would only wait for the other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that runs the suite in the background has Ctrl-C ignored, and every child would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
