"""One set of scans that every format renders: a sick target, a healthy one and two without a verdict; and worse ones."""

from __future__ import annotations

import dataclasses
import hashlib
import math

from canned_reports import healthy
from canned_trials import treated

from gradcheck_cli.records import (
    BaselineCheck,
    BaselineEntry,
    CloseCall,
    Failure,
    Finding,
    LayerProfile,
    Limit,
    Report,
    Rule,
    Scan,
    SourceSite,
    Suppressed,
)
from gradcheck_cli.reporting.base import Look, RulePage

_PAGE = """The gradient shrinks on its way.

What it measures
The L2 norm at every point.

Limits and where they come from
`steady-error` in decades: measured.

What to do
- Use an activation whose gain is near one.
- Add a norm.
"""
RULES = (
    RulePage(
        rule=Rule(
            code="GC101",
            name="vanishing-gradient",
            summary="The gradient shrinks on its way.",
            severity="error",
            limits=(Limit(name="steady-error", value=4.0, unit="decades", source="chosen by us"),),
        ),
        page=_PAGE,
    ),
    RulePage(rule=Rule(code="GC202", name="saturation", summary="Units are flat.", severity="warning"), page="Units are flat."),
    RulePage(
        rule=Rule(code="GC602", name="initial-loss", summary="The loss is odd.", severity="note"), page="The loss is odd."
    ),
)


def look(form: str, **more: object) -> Look:
    source = {("examples/deep.py", 15): "layers += [nn.Linear(64, 64), nn.Sigmoid()]"}
    return Look(format=form, **{"rules": RULES, "source": source, "folder": "models", **more})


def _known(finding: Finding) -> Finding:
    words = f"{finding.code} {finding.layer} {finding.parameter}"
    return dataclasses.replace(finding, fingerprint=hashlib.md5(words.encode(), usedforsecurity=False).hexdigest())


def _accepted(code: str, layer: str, by: str, **more: object) -> Suppressed:
    finding = Finding(code=code, name="saturation", severity="warning", layer=layer, message=f"`{layer}`: 60 % are flat")
    return Suppressed(finding=_known(finding), by=by, selector=code, **more)


def sick_report() -> Report:
    """Return an error with a cure, a warning, a note on the whole model, and a finding accepted in each of the three ways."""
    report = treated()
    odd = Finding(
        code="GC602",
        name="initial-loss",
        severity="note",
        layer="",
        message="the first loss is 9.1 where a uniform guess has 2.3",
        facts={"ratio": math.nan},
        objective="cross_entropy",
    )
    stale = BaselineEntry(
        fingerprint="0" * 32, target="examples/deep.py", code="GC205", name="forward-decay", layer="net.7", severity="error"
    )
    return dataclasses.replace(
        report,
        findings=tuple(map(_known, (*report.findings, odd))),
        suppressed=(
            _accepted("GC202", "net.3", "comment", reason="on purpose", site=SourceSite(file="examples/deep.py", line=12)),
            _accepted("GC202", "net.5", "setting", site=SourceSite(file="pyproject.toml", line=7)),
            _accepted("GC202", "net.7", "baseline", reason="known since May"),
        ),
        baseline=BaselineCheck(file="gradcheck-baseline.json", known=1, worse=0, stale=(stale,), remarks=("other seed",)),
        checked=("GC101", "GC202", "GC301", "GC602"),
        close_calls=(
            CloseCall(
                code="GC202",
                name="saturation",
                layer="net.39",
                limit="saturated-share",
                value=0.5,
                turns_at=0.45,
                unit="",
                verdict="fails",
            ),
        ),
    )


def healthy_report() -> Report:
    return dataclasses.replace(healthy(), checked=("GC101", "GC202", "GC602"))


def failed(target: str, where: str | None = None) -> Scan:
    what = f"{target} cannot be read"
    return Scan(target=target, error=Failure(id="E104", what=what, why="it is no Python", do="mend it", where=where))


def scans() -> tuple[Scan, ...]:
    return (
        Scan(target="examples/deep.py", report=sick_report()),
        Scan(target="examples/fine.py:net", report=healthy_report()),
        failed("examples/broken.py", "examples/broken.py:3"),
        failed("package.module:Net"),
    )


def clean_scan() -> tuple[Scan, ...]:
    return (Scan(target="examples/fine.py", report=healthy_report()),)


# What a model can call itself, and what its exceptions can say.
HOSTILE = (
    "".join(map(chr, range(0x21))) + "\x7f\x80\x9b31m",
    "\x1b]8;;http://evil\x07link\x1b[2J",
    "a\nb\r\n::error file=x,line=1::forged\n##[error]forged",
    "%0A::error::forged%25, a:b",
    "</script><script>alert(1)</script><!-- <b>",
    "]]><failure/>&amp;&#x1b;",
    "| a \\| b || \\",
    "`one` ``two``` \\` `",
    "[x](http://evil) ![x](y) <http://evil> https://evil www.evil.org a@evil.org",
    "@somebody @org/team #12 org/repo#12 $x^2$ **b** _i_ ~~s~~ {0}",
    "- a",
    "    1. # a",
    "a\u202eb\u2066c\u200b\ufeff\u2028\u00ad",
    "\ud800 \udcff lone",
    "\x00\ufffe\uffff\U0010ffff",
    "层.ブロック.é.\U0001f600",
    "../../etc/passwd",
    "C:\\models\\a b#c?d%20e.py",
    " ",
    "deep." * 4000,
)


def _renamed(finding: Finding, word: str) -> Finding:
    return dataclasses.replace(
        finding,
        layer=word,
        parameter=word,
        message=f"`{word}`: {word}",
        details=((word, word),),
        facts={word: word},
        affected=(word,),
        confirmed=word,
        objective=word,
        site=finding.site and SourceSite(file=word, line=3),
    )


def hostile(word: str) -> tuple[Scan, ...]:
    """Return the scans with every text that can come from a model replaced by `word`."""
    report = sick_report()
    profile = dataclasses.replace(report.profiles[0], target=word, assumptions=(word,), gaps=(word,), layers=(), spines=())
    place = SourceSite(file=word, line=1)
    assert report.baseline is not None
    entry = dataclasses.replace(report.baseline.stale[0], layer=word, parameter=word)
    report = dataclasses.replace(
        report,
        profiles=(profile, profile),
        findings=tuple(_renamed(f, word) for f in report.findings),
        suppressed=tuple(
            dataclasses.replace(s, finding=_renamed(s.finding, word), reason=word, site=place, selector=word)
            for s in report.suppressed
        ),
        trials=tuple(dataclasses.replace(t, title=word, layer=word, reason=word, objective=word) for t in report.trials),
        prescriptions=tuple(dataclasses.replace(p, title=word, layer=word, reason=word) for p in report.prescriptions),
        baseline=dataclasses.replace(report.baseline, file=word, stale=(entry,), remarks=(word,)),
        close_calls=tuple(dataclasses.replace(c, layer=word) for c in report.close_calls),
    )
    error = Failure(id="E118", what=word, why=word, do=word, where=f"{word}:7")
    return (
        Scan(target=word, report=report),
        Scan(target=word, error=error),
        Scan(target=word, error=dataclasses.replace(error, where=word)),
    )


def large(count: int = 5000) -> tuple[Scan, ...]:
    """Return a model of so many layers with a finding at each; the line of every other one is known only from its layer."""
    report = sick_report()
    names = [f"encoder.layers.{number}.self_attn.out_proj" for number in range(count)]
    layer = report.profiles[0].layers[1]
    layers = tuple(_layer(layer, name, number) for number, name in enumerate(names))
    findings = tuple(_finding(report.findings[number % 3], name, number) for number, name in enumerate(names))
    profile = dataclasses.replace(report.profiles[0], layers=layers, spines=())
    return (Scan(target="examples/deep.py", report=dataclasses.replace(report, profiles=(profile,), findings=findings)),)


def _layer(layer: LayerProfile, name: str, number: int) -> LayerProfile:
    return dataclasses.replace(layer, name=name, order=number, site=SourceSite(file="examples/deep.py", line=number + 1))


def _finding(finding: Finding, name: str, number: int) -> Finding:
    site = SourceSite(file="examples/deep.py", line=number + 1) if number % 2 else None
    return _known(dataclasses.replace(finding, layer=name, message=f"`{name}`: {finding.message}", affected=(), site=site))
