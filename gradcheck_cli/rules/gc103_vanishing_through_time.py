"""A recurrent layer forgets: the gradient vanishes on its way back through the sequence.

What it measures
For nn.RNN, nn.LSTM and nn.GRU the gradient of the last step's output with respect to the layer's input sequence, step
by step; for cells and layers that a loop in your own code calls, the gradient of the last call's output with respect
to each earlier one. The fitted decay is in decades per step; the horizon is the number of steps after which less than
1 % is left.

Why it matters
What lies further back than the horizon cannot be learned: its gradient is smaller than the noise of the nearer steps.

Limits and where they come from
The decades lost over the whole sequence. A tanh RNN with PyTorch's default initialisation loses about 0.26 decades a
step, whatever its width (its recurrent matrix has a spectral radius of 1/√3). `end-warning` and `end-error` are for a
loss that sees the last step only, so that every earlier step depends on the way through time: 12 decades are 46 such
steps, seven horizons. `every-error` is for a loss at many steps, where near dependencies are learned all the same.
`gated-horizon`: gates can learn to hold, and at default initialisation an LSTM or GRU keeps 1 % for about nine steps,
so a gated layer is reported only when it forgets within fewer steps than this. All chosen by us, measured on
default-initialised layers of 16 to 256 units.

When it is wrong
The task needs only the last few steps; then the finding is true and harmless.

What to do
Replace the vanilla RNN by a GRU or LSTM, start the forget gate's bias at 1 or more, initialise the recurrent matrix
orthogonally, or cut the sequence.

References
Y. Bengio et al. (1994), "Learning long-term dependencies with gradient descent is difficult"; R. Pascanu et al.
(2013); R. Jozefowicz et al. (2015), "An empirical exploration of recurrent network architectures" (forget bias).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, Profile, Rule, Severity, TimeProfile
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.reading import Quantity, Reading
from gradcheck_cli.rules.trend import same_time, time_finding

_SOURCE = "chosen by us, measured on default-initialised recurrent layers"
RULE = Rule(
    code="GC103",
    name="vanishing-through-time",
    summary="The gradient vanishes on its way back through the sequence.",
    severity="error",
    limits=(
        Limit(name="end-warning", value=12.0, unit="decades over the sequence, loss at the last step", source=_SOURCE),
        Limit(name="end-error", value=20.0, unit="decades over the sequence, loss at the last step", source=_SOURCE),
        Limit(name="every-error", value=40.0, unit="decades over the sequence, loss at many steps", source=_SOURCE),
        Limit(name="gated-horizon", value=4.0, unit="steps until 1 % is left", source=_SOURCE),
    ),
    hides=("GC105", "GC205"),
)
CONFIRM = "repeats"
EFFECT = Quantity("decay through time", "decades")


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    for time in profile.times:
        severity = _severity(time, limits)
        if severity is not None:
            yield time_finding(profile, time, "GC103", severity)


def measure(profile: Profile, finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Return the decades lost over the sequence; no limit holds for a gated layer whose memory is long enough."""
    time = same_time(profile, finding)
    if time is None:
        return None
    limit = limits["end-warning" if time.loss_at_end else "every-error"]
    return Reading(-time.decay * time.steps, None if _remembers(time, limits) else limit)


def _remembers(time: TimeProfile, limits: Mapping[str, float]) -> bool:
    return time.gated and (time.horizon is None or time.horizon >= limits["gated-horizon"])


def _severity(time: TimeProfile, limits: Mapping[str, float]) -> Severity | None:
    lost = -time.decay * time.steps
    if _remembers(time, limits):
        return None
    if not time.loss_at_end:
        return "error" if lost >= limits["every-error"] else None
    if lost >= limits["end-error"]:
        return "error"
    return "warning" if lost >= limits["end-warning"] else None


def _example(decay: float, steps: int, *, kind: str = "RNN", loss_at_end: bool = True) -> Profile:
    l2 = tuple(10.0 ** (decay * t) for t in range(steps))
    horizon = next((t for t, v in enumerate(l2) if v < 0.01), None)
    time = TimeProfile(
        layer="rnn",
        kind=kind,
        gated=kind != "RNN",
        hand_written=False,
        steps=steps,
        l2=l2,
        decay=decay,
        horizon=horizon,
        loss_at_end=loss_at_end,
    )
    return profile_of(layer_of("rnn", kind), layer_of("head"), times=(time,))


FIRES = (lambda: _example(-0.26, 200), lambda: _example(-0.26, 50), lambda: _example(-1.0, 50, kind="LSTM"))
CLEAN = (
    lambda: _example(-0.26, 20),
    lambda: _example(-0.21, 200, kind="LSTM"),
    lambda: _example(-0.26, 100, loss_at_end=False),
    lambda: _example(0.0, 500),
)
