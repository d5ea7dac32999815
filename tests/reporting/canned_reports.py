"""One sick report and one healthy report, written by hand, that every format renders."""

from __future__ import annotations

import math

from gradcheck_cli.records import (
    Finding,
    Histogram,
    InputProfile,
    LayerProfile,
    ObjectiveProfile,
    OptimizerProfile,
    ParameterProfile,
    Prescription,
    Profile,
    Report,
    Scan,
    Segment,
    SourceSite,
    Spine,
    SpinePoint,
    TensorStats,
)

_GAIN = {"Linear": -0.24, "Sigmoid": -0.61}


def stats(l2: float, shape: tuple[int, ...] = (64, 64), **more: object) -> TensorStats:
    numel = math.prod(shape)
    given = {"mean": 0.0, "zero_fraction": 0.0, "nonfinite": 0, **more}
    return TensorStats(
        shape=shape, dtype="float32", numel=numel, l2=l2, rms=l2 / numel**0.5, abs_max=l2 / numel**0.5 * 3, **given
    )


def _layers(gain: dict[str, float], depth: int) -> tuple[list[LayerProfile], list[ParameterProfile], Spine]:
    kinds = [kind for _ in range(depth) for kind in gain] + ["Linear"]
    log = -0.9
    layers, parameters, points, segments = [], [], [], []
    for index in reversed(range(len(kinds))):
        kind, name = kinds[index], f"net.{index}"
        role = "linear" if kind == "Linear" else "activation"
        width = 10 if index == len(kinds) - 1 else 64
        site = SourceSite(file="examples/deep.py", line=14 + (kind != "Linear"), exact=True)
        layers.append(
            LayerProfile(
                name=name,
                kind=kind,
                role=role,
                order=index + 1,
                calls=1,
                state="measured",
                leaf=True,
                site=site,
                output=stats(32.0, (64, width)),
                gradient=stats(10**log, (64, width), histogram=Histogram(first=-40, counts=(1, 2, 1), total=4)),
                parameters=(f"{name}.weight",) if kind == "Linear" else (),
            )
        )
        if kind == "Linear":
            parameters.append(
                ParameterProfile(
                    name=f"{name}.weight",
                    layer=name,
                    layer_kind=kind,
                    role="weight",
                    state="measured",
                    value=stats(4.6, (width, 64)),
                    gradient=stats(10 ** (log - 0.3), (width, 64)),
                    fan_in=64,
                    fan_out=width,
                )
            )
        points.append(SpinePoint(layer=name, kind=kind, role=role, call=0, l2=10**log))
        if index:
            segments.append(Segment(layer=name, kind=kind, role=role, call=0, log10_gain=gain[kind]))
            log += gain[kind]
    root = LayerProfile(
        name="", kind="Deep", role="container", order=0, calls=1, state="measured", leaf=False, output=layers[0].output
    )
    spine = Spine(entry="net.0", points=tuple(points), segments=tuple(segments))
    return [root, *reversed(layers)], parameters[::-1], spine


def _profile(gain: dict[str, float], depth: int = 20, **more: object) -> Profile:
    layers, parameters, spine = _layers(gain, depth)
    given = {
        "target": "examples/deep.py",
        "model_kind": "Deep",
        "objective": ObjectiveProfile(
            name="cross_entropy", kind="cross_entropy", origin="found: loss_fn", value=2.3086, classes=10, uniform_loss=2.3026
        ),
        "batch_size": 64,
        "batch": (InputProfile(name="x", stats=stats(64.0), std=1.0, floating=True),),
        "device": "cpu",
        "dtype": "float32",
        "seed": 0,
        "mode": "train",
        "versions": {"torch": "2.13.0", "python": "3.11"},
        "parameter_count": 83850,
        "trainable_count": 83850,
        "layers": tuple(layers),
        "parameters": tuple(parameters),
        "spines": (spine,),
        "optimizer": OptimizerProfile(name="Adam", lr=1e-3, origin="assumed"),
        **more,
    }
    return Profile(**given)


def one(report: Report) -> tuple[Scan, ...]:
    """The scan of one target that has this report."""
    return (Scan(target=report.target, report=report),)


def healthy() -> Report:
    return Report(tool_version="0.1.0", profiles=(_profile({"Linear": -0.01, "ReLU": 0.005}),), findings=())


def sick(depth: int = 20) -> Report:
    profile = _profile(
        _GAIN,
        depth,
        assumptions=("learning rate 1e-3 for Adam, for the update sizes",),
        gaps=("histograms of 2 tensors are sampled",),
    )
    spine = profile.spines[0]
    finding = Finding(
        code="GC101",
        name="vanishing-gradient",
        severity="error",
        layer="net.1",
        site=SourceSite(file="examples/deep.py", line=15),
        message="the gradient shrinks by 17.0 decades on its way to `net.0` (limit 3)",
        details=(
            ("blame", "20 × Sigmoid -12.2 decades (0.25 at best each) · 20 × Linear -4.8 (gain 0.58)"),
            ("starves", "`net.0` … `net.26`: 14 of 21 layers, 61 % of the parameters"),
        ),
        facts={"drop": 17.0, "shares": {"Sigmoid": 12.2, "Linear": 4.8}, "slowest": math.inf},
        affected=tuple(f"net.{i}" for i in range(0, 28, 2)),
        picture=tuple(math.log10(p.l2) for p in reversed(spine.points)),
        confirmed="still 15.9 decades after 20 steps of Adam, over 3 seeds",
        objective="cross_entropy",
    )
    flat = Finding(
        code="GC202",
        name="saturation",
        severity="warning",
        layer="net.39",
        message="`net.39`: 71 % of the units of Sigmoid sit in the flat part (limit 50 %)",
        objective="cross_entropy",
    )
    relu = Prescription(
        remedy="switch-activation",
        title="ReLU in place of Sigmoid",
        code="GC101",
        layer="net.1",
        action="Replace the 20 Sigmoid layers by ReLU and initialise the Linear layers for it.",
        why="A sigmoid passes at most a quarter of the gradient, ReLU all of it where it is open.",
        cost="none at run time",
        applicability="unsafe",
        snippet="# examples/deep.py:15\nnn.ReLU()\n\nnn.init.kaiming_normal_(layer.weight)",
        sources=("Glorot & Bengio 2010", "He et al. 2015"),
    )
    norm = Prescription(
        remedy="insert-batchnorm",
        title="BatchNorm before each Sigmoid",
        code="GC101",
        layer="net.1",
        action="Put nn.BatchNorm1d(64) before each Sigmoid.",
        why="It keeps the input of the sigmoid in its steep part.",
        cost="two statistics and two parameters a feature",
        applicability="unsafe",
        snippet="nn.BatchNorm1d(64)",
        sources=("Ioffe & Szegedy 2015",),
    )
    return Report(
        tool_version="0.1.0",
        profiles=(profile,),
        findings=(finding, flat),
        prescriptions=(relu, norm),
        settings={"seed": 0, "batches": 1, "select": ("ALL",)},
    )
