"""The sick report with trials of every outcome, written by hand."""

from __future__ import annotations

import dataclasses
import math

from canned_reports import sick

from gradcheck_cli.records import (
    Edit,
    Effect,
    Finding,
    Prescription,
    Report,
    TrainingProbe,
    TrainingRuns,
    Trial,
)

ADAM = "Adam, lr 0.001 (no optimizer found)"
_STARTS = (2.31, 2.31, 2.31)


def training(ends: tuple[float, ...], **more: object) -> TrainingProbe:
    given = {"steps": 30, "optimizer": ADAM, "comparable": True, "verdict": "better", **more}
    original = given.pop("original", TrainingRuns(start=_STARTS, end=(2.30, 2.31, 2.33)))
    return TrainingProbe(original=original, edited=TrainingRuns(start=_STARTS, end=ends), **given)


def drop(after: float | None) -> Effect:
    return Effect(label="drop", unit="decades", before=17.0, after=after, limit=3.0)


def _prescription(remedy: str, title: str, finding: Finding, **more: object) -> Prescription:
    given = {
        "action": f"Do what {title} says.",
        "why": f"{title} keeps the gradient.",
        "cost": "activation",
        "applicability": "unsafe",
        "snippet": f"apply('{remedy}')",
        "edits": (Edit(kind="activation", layers=("net.1",), options={"to": "relu"}),),
        **more,
    }
    return Prescription(remedy=remedy, title=title, code=finding.code, layer=finding.layer, **given)


def _trial(finding: Finding, remedies: tuple[str, ...], title: str, outcome: str, **more: object) -> Trial:
    given = {"edits": (Edit(kind="initialise", layers=("net.0",), options={"scheme": "he"}),), **more}
    return Trial(
        remedies=remedies,
        title=title,
        code=finding.code,
        layer=finding.layer,
        objective=finding.objective,
        outcome=outcome,
        **given,
    )


def treated() -> Report:
    """Two findings: one with every outcome and a cure, one that a combination improves at best."""
    report = sick()
    steep, flat = report.findings
    relu = dataclasses.replace(report.prescriptions[0], status="tried", edits=(Edit(kind="activation", layers=("net.1",)),))
    prescriptions = (
        _prescription("xavier", "Xavier initialisation", steep, status="tried"),
        relu,
        _prescription("orthogonal", "Start from orthogonal weights", steep, status="tried"),
        _prescription("batch-norm", "BatchNorm before each Sigmoid", steep, status="tried"),
        _prescription("lower-rate", "Lower the learning rate", steep, status="tried"),
        _prescription("lsuv", "Scale each layer to unit variance on a batch (LSUV)", steep, status="tried"),
        _prescription("residual", "Residual skip", steep, reason="another cure was found first"),
        _prescription("layer-norm", "LayerNorm after each Linear", steep, reason="another cure was found first"),
        _prescription("pretrained", "Load pretrained weights", steep, edits=(), reason="advice"),
        _prescription("smaller-start", "Start with smaller weights", flat, status="tried"),
        _prescription("scale-loss", "Scale the loss", flat, reason="tried with `smaller-start` only"),
        _prescription("standardise", "Standardise the input", flat, reason="the time budget of 10 s is used up"),
    )
    of_steep = (
        _trial(
            steep,
            (relu.remedy,),
            relu.title,
            "cured",
            effect=drop(0.3),
            training=training((0.87, 0.82, 0.92)),
            also_cures=("GC202 saturation",),
        ),
        _trial(
            steep,
            ("batch-norm",),
            "BatchNorm before each Sigmoid",
            "improved",
            effect=drop(2.9),
            training=training((2.20, 2.18, 2.22)),
            new_findings=("GC301 odd-scale", "GC604 small-norm-batch"),
            reason="raises GC301 odd-scale, GC604 small-norm-batch",
        ),
        _trial(
            steep,
            ("xavier",),
            "Xavier initialisation",
            "no effect",
            effect=drop(12.4),
            training=training((2.30, 2.31, 2.29), verdict="alike"),
        ),
        _trial(
            steep,
            ("lower-rate",),
            "Lower the learning rate",
            "no effect",
            effect=drop(17.0),
            training=training((2.305, 2.31, 2.32), verdict="alike", optimizer="Adam, lr 0.0001 (no optimizer found)"),
        ),
        _trial(
            steep,
            ("lsuv",),
            "Scale each layer to unit variance on a batch (LSUV)",
            "worse",
            effect=drop(21.4),
            training=training((math.inf, math.nan, 8.1), verdict="diverged"),
            reason="the loss diverges",
        ),
        _trial(
            steep,
            ("orthogonal",),
            "Start from orthogonal weights",
            "not applied",
            reason="`net.0` shares its weight with `head`",
        ),
    )
    saturated = Effect(label="saturated units", unit="share", before=0.71, after=0.55, limit=0.5)
    of_flat = (
        _trial(
            flat,
            ("smaller-start", "scale-loss"),
            "Start with smaller weights + Scale the loss",
            "improved",
            effect=saturated,
            training=training((0.91, 0.90, 0.95), comparable=False),
        ),
        _trial(
            flat,
            ("smaller-start",),
            "Start with smaller weights",
            "no effect",
            effect=dataclasses.replace(saturated, after=0.705),
            reason="no time is left for training",
        ),
    )
    profile = dataclasses.replace(report.profiles[0], optimizer=None)
    return dataclasses.replace(report, profiles=(profile,), prescriptions=prescriptions, trials=(*of_steep, *of_flat))
