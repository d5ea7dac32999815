"""In float16 a value grows beyond 65504 and becomes infinite.

What it measures
For a model that computes in float16: whether an output or a gradient reaches 2^16, and whether an infinity is made by
an operation that has no infinity of its own, or out of values that are already large.

Why it matters
float16 ends at 65504. The infinity turns into NaN at the next subtraction or division.

Limits and where they come from
`large` 1000: the square of it no longer fits. An infinity that a division by zero or a logarithm of zero makes out of
smaller numbers would occur in float32 too and is GC501's.

When it is wrong
A loss scale that overflows once is what a `GradScaler` probes for; it then halves the scale.

What to do
Use bfloat16, which reaches as far as float32, keep norms and softmax in float32 (autocast does), lower the loss scale, or
scale down what grows.

References
P. Micikevicius et al., "Mixed Precision Training" (2018); IEEE 754-2019, binary16.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck_cli.records import Finding, Limit, NonFinite, PrecisionForecast, Profile, Rule
from gradcheck_cli.rules.examples import layer_of, profile_of
from gradcheck_cli.rules.nonfinite_origin import describe, lead_up
from gradcheck_cli.rules.reading import Quantity, Reading

RULE = Rule(
    code="GC504",
    name="half-precision-overflow",
    summary="In float16 a value grows beyond 65504.",
    severity="error",
    limits=(Limit(name="large", value=1000.0, unit="absolute value", source="its square is beyond 65504"),),
    hides=("GC501", "GC502", "GC102", "GC204"),
)
CONFIRM = "none"  # an overflow is arithmetic
EFFECT = Quantity("overflows", "")
_SINGULAR = ("div", "log", "reciprocal", "rsqrt", "pow", "tan")  # operations with an infinity at a finite value


def check(profile: Profile, limits: Mapping[str, float]) -> Iterator[Finding]:
    if not _is_half(profile):
        return
    origin = next((n for n in profile.nonfinite if _overflowed(n, limits["large"])), None)
    if origin is None and not _reaches_beyond(profile):
        return
    if origin is not None:
        message = f"float16 ends at 65504: {describe(origin)}"
    else:
        message = "float16 ends at 65504, and values of this model reach beyond it"
    yield Finding(
        code="GC504",
        severity="error",
        layer=origin.layer if origin else "",
        site=origin.site if origin else None,
        message=message,
        details=lead_up(origin) if origin else (),
        facts={"phase": origin.phase if origin else "forward", "scope": "model"},
    )


def measure(profile: Profile, _finding: Finding, limits: Mapping[str, float]) -> Reading | None:
    """Count the operations and forecasts that overflow; None in other formats."""
    if not _is_half(profile):
        return None
    made = sum(_overflowed(n, limits["large"]) for n in profile.nonfinite)
    return Reading(float(made + _reaches_beyond(profile)), 0.0)


def _is_half(profile: Profile) -> bool:
    return profile.dtype.endswith("float16") and not profile.dtype.endswith("bfloat16")


def _reaches_beyond(profile: Profile) -> bool:
    forecast = next((f for f in profile.precision if f.dtype == "float16"), None)
    return forecast is not None and (forecast.forward_overflow or forecast.overflow_fraction > 0)


def _overflowed(origin: NonFinite, large: float) -> bool:
    singular = any(word in origin.operation for word in _SINGULAR)
    return (origin.kind == "inf" and not singular) or any(size >= large for _, size in origin.lead_up[-1:])


def _example(dtype: str, size: float, overflow: float = 0.0, operation: str = "mul") -> Profile:
    origin = NonFinite(phase="forward", layer="net.3", operation=operation, kind="inf", lead_up=(("net.2: relu", size),))
    forecast = PrecisionForecast(
        dtype="float16", underflow_fraction=0.0, overflow_fraction=overflow, worst_layer=None, worst_underflow=0.0,
        loss_scale=1.0, scaled_underflow=0.0,
    )  # fmt: skip
    return profile_of(layer_of("net.3"), dtype=dtype, nonfinite=(origin,), precision=(forecast,))


FIRES = (
    lambda: _example("float16", 4e4, operation="div"),
    lambda: _example("float16", 3.8),
    lambda: _example("float16", 1.0, overflow=0.01, operation="log"),
)
CLEAN = (
    lambda: _example("float32", 4e4),
    lambda: _example("float16", 0.0, operation="log"),
    lambda: _example("bfloat16", 4e4),
)
