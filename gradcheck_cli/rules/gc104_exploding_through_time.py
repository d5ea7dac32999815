"""The gradient explodes on its way back through the sequence.

What it measures
As GC103: the gradient of a recurrent layer's last step with respect to its earlier steps. Here it grows.

Why it matters
One long sequence is enough to throw the weights away: the norm of the update is ruled by the steps furthest back, and
changes by decades from batch to batch.

Limits and where they come from
Decades gained over the whole sequence, fitted: `growth-warning` 2 and `growth-error` 4, as for depth (GC102). A
recurrent matrix with a spectral radius of 1.05 reaches 2 decades over 100 linear steps. Chosen by us; no
default-initialised layer of PyTorch grows at all.

When it is wrong
With gradient clipping the training survives, and may do well if the growth is confined to some sequences.

What to do
Clip the gradient by norm, initialise the recurrent matrix orthogonally or smaller, use a GRU or LSTM, or cut the
sequence.

References
R. Pascanu et al. (2013), "On the difficulty of training recurrent neural networks".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule, TimeProfile
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.trend import same_time, time_finding

_SOURCE = "chosen by us; default-initialised layers do not grow"
RULE = Rule(
    code="GC104",
    name="exploding-through-time",
    summary="The gradient explodes on its way back through the sequence.",
    severity="error",
    limits=(
        Limit(name="growth-warning", value=2.0, unit="decades over the sequence", source=_SOURCE),
        Limit(name="growth-error", value=4.0, unit="decades over the sequence", source=_SOURCE),
    ),
    hides=("GC102", "GC204"),
)
CONFIRM = "repeats"
EFFECT = Quantity("growth through time", "decades")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    for time in profile.times:
        growth = time.decay * time.steps
        if growth >= limits["growth-warning"]:
            yield time_finding(profile, time, "GC104", "error" if growth >= limits["growth-error"] else "warning")


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    time = same_time(profile, finding)
    return Reading(time.decay * time.steps, limits["growth-warning"]) if time else None


def _example(decay: float, steps: int) -> Profile:
    l2 = tuple(10.0 ** (decay * t) for t in range(steps))
    time = TimeProfile(layer="rnn", kind="RNN", gated=False, hand_written=False, steps=steps, l2=l2, decay=decay, horizon=None)
    return profile_of(layer_of("rnn", "RNN"), layer_of("head"), times=(time,))


FIRES = (lambda: _example(0.1, 100), lambda: _example(0.03, 100))
CLEAN = (lambda: _example(0.0, 500), lambda: _example(-0.26, 200))
