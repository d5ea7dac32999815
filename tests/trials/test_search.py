"""Trials through the front door: what is tried, in which order, what is said, and what becomes of the model."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch, Objective, OptimizerSpec, Outcome, Subject
from gradcheck_cli.pipeline import examine
from gradcheck_cli.probing.digest import digest
from gradcheck_cli.records import Edit, Prescription, Report
from gradcheck_cli.settings import Settings
from gradcheck_cli.trials.search import try_remedies

ON = Settings(target="model.py", try_budget=60.0)
OFF = dataclasses.replace(ON, no_try=True)


def compute(model: nn.Module, batch: Batch) -> Outcome:
    output = model(*batch.args)
    return Outcome(loss=F.cross_entropy(output, batch.target), output=output, target=batch.target)


def subject_of(model: nn.Module, *, compute: Callable[[nn.Module, Batch], Outcome] = compute) -> Subject:
    torch.manual_seed(1)
    x = torch.randn(64, 16)
    batch = Batch(args=(x,), target=(x[:, 0] > 0).long() + (x[:, 1] > 0).long())
    objective = Objective(name="loss", kind="cross_entropy", origin="test", compute=compute)
    return Subject(model=model, batches=(batch,), objectives=(objective,), optimizer=None, sites={}, target="model.py")


def mlp(depth: int = 12, activation: type[nn.Module] = nn.Sigmoid) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for into, out in pairwise([16, *[32] * depth]):
        layers += [nn.Linear(into, out), activation()]
    return nn.Sequential(*layers, nn.Linear(32, 3))


def prescribed(*remedies: tuple[str, str, tuple[Edit, ...]]) -> tuple[Prescription, ...]:
    """Prescriptions for the finding on the MLP above: (id, cost, edits)."""
    return tuple(
        Prescription(
            remedy=name, title=name.title(), code="GC101", layer="1", action="", why="", cost=cost, applicability="unsafe",
            snippet="", edits=edits,
        )
        for name, cost, edits in remedies
    )  # fmt: skip


ACTIVATIONS = tuple(str(i) for i in range(1, 24, 2))
LINEAR = tuple(str(i) for i in range(0, 26, 2))
RELU = Edit(kind="activation", layers=ACTIVATIONS, options={"to": "relu"})
HE = Edit(kind="initialise", layers=LINEAR, options={"scheme": "he", "gain_of": "relu"})
XAVIER = Edit(kind="initialise", layers=LINEAR, options={"scheme": "xavier", "gain_of": "sigmoid"})
CLIP = Edit(kind="clip", options={"norm": 1.0})


def sick_report() -> tuple[Subject, Report]:
    subject = subject_of(mlp())
    report = examine(subject, OFF)
    assert [(f.code, f.layer) for f in report.findings] == [("GC101", "1")]
    return subject, report


def test_the_first_cure_ends_the_search_and_the_rest_say_why_they_were_not_tried() -> None:
    report = examine(subject_of(mlp()), ON)
    (trial,) = report.trials
    assert (trial.remedies, trial.outcome, trial.new_findings) == (("relu",), "cured", ())
    assert trial.effect is not None
    assert trial.effect.before > 6.0 > trial.effect.limit > abs(trial.effect.after)
    assert trial.training is not None
    assert trial.training.verdict == "better"
    assert max(trial.training.edited.end) < 0.9 * min(trial.training.original.end)
    statuses = {p.remedy: (p.status, bool(p.reason)) for p in report.prescriptions}
    assert statuses.pop("relu") == ("tried", False)
    assert statuses
    assert set(statuses.values()) == {("not tried", True)}


def test_a_healthy_model_is_offered_and_tried_nothing() -> None:
    report = examine(subject_of(mlp(3, nn.ReLU)), ON)
    assert (report.findings, report.prescriptions, report.trials) == ((), (), ())


def test_all_are_tried_on_request() -> None:
    report = examine(subject_of(mlp()), dataclasses.replace(ON, try_all=True))
    triable = {p.remedy for p in report.prescriptions if p.edits}
    assert {t.remedies[0] for t in report.trials} == triable
    assert sum(t.outcome == "cured" for t in report.trials) >= 2


def test_order_and_numbers_repeat() -> None:
    first, second = (examine(subject_of(mlp()), dataclasses.replace(ON, try_all=True)) for _ in range(2))
    assert first.trials == second.trials
    assert first.prescriptions == second.prescriptions


def test_the_numbers_are_those_of_a_scan_of_the_edited_model() -> None:
    """Oracle: the network written by hand with ReLU and the weights that the trial drew."""
    subject, report = sick_report()
    report = dataclasses.replace(report, prescriptions=prescribed(("relu", "activation", (RELU,))))
    (trial,) = try_remedies(subject, report, ON).trials
    by_hand = mlp(activation=nn.ReLU)
    by_hand.load_state_dict(subject.model.state_dict())
    (spine,) = examine(subject_of(by_hand), OFF).profiles[0].spines
    assert trial.effect is not None
    assert trial.effect.after == pytest.approx(spine.drop, rel=1e-6)


def test_remedies_are_combined_when_none_cures_alone() -> None:
    subject, report = sick_report()
    parts = prescribed(("relu", "activation", (RELU,)), ("he", "initialisation", (HE,)), ("clip", "training loop", (CLIP,)))
    result = try_remedies(subject, dataclasses.replace(report, prescriptions=parts), ON)
    best = result.trials[0]
    assert (best.remedies, best.outcome) == (("relu", "he"), "cured")
    assert best.title == "Relu + He"
    assert best.edits == (RELU, HE)
    alone = {t.remedies: t.outcome for t in result.trials[1:]}
    assert alone[("relu",)] == "improved"
    assert alone[("clip",)] == "no effect"
    assert {p.status for p in result.prescriptions} == {"tried"}


def test_what_keeps_a_diverging_model_from_it_is_tried_beside_the_cure() -> None:
    torch.manual_seed(0)
    model = mlp(activation=nn.ReLU)
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.6)
    subject = dataclasses.replace(subject_of(model), optimizer=OptimizerSpec(name="SGD", lr=0.01))
    report = examine(subject, ON)
    assert report.findings[0].code == "GC102"
    first = report.trials[0]
    assert first.outcome == "cured"
    clip = next(t for t in report.trials if t.remedies == ("clip-gradient-norm",))
    assert (clip.outcome, clip.reason) == ("improved", "training copes with the cause, which stays")
    assert clip.effect is not None
    assert clip.effect.after == clip.effect.before


def test_a_warm_up_cures_no_rate_that_it_leads_to() -> None:
    subject = dataclasses.replace(subject_of(mlp(3, nn.ReLU)), optimizer=OptimizerSpec(name="Adam", lr=2.0))
    report = examine(subject, dataclasses.replace(ON, try_all=True))
    outcomes = {t.remedies: t for t in report.trials if t.code == "GC106"}
    assert outcomes[("lower-learning-rate",)].outcome == "cured"
    warm_up = outcomes[("warm-up",)]
    assert warm_up.outcome != "cured"
    assert warm_up.effect is not None
    assert warm_up.effect.after == warm_up.effect.before


def test_two_remedies_of_one_kind_are_no_combination() -> None:
    subject, report = sick_report()
    parts = prescribed(("xavier", "initialisation", (XAVIER,)), ("he", "initialisation", (HE,)))
    result = try_remedies(subject, dataclasses.replace(report, prescriptions=parts), ON)
    assert {t.remedies for t in result.trials} == {("xavier",), ("he",)}


def test_what_changes_weights_comes_after_what_draws_them() -> None:
    """Both are of one class and each only helps; the other way round the first would be undone."""
    subject, report = sick_report()
    growth = Edit(kind="scale_weights", layers=LINEAR, options={"factor": 2.0})
    parts = prescribed(("grow", "initialisation", (growth,)), ("xavier", "initialisation", (XAVIER,)))
    tried = {t.remedies: t for t in try_remedies(subject, dataclasses.replace(report, prescriptions=parts), ON).trials}
    together = tried[("xavier", "grow")]
    assert together.edits == (XAVIER, growth)
    assert together.effect is not None
    assert together.effect.after < min(tried[(name,)].effect.after for name in ("xavier", "grow"))


def test_what_cannot_be_done_is_said_and_the_others_go_on() -> None:
    subject, report = sick_report()
    nowhere = Edit(kind="activation", layers=("no.such.layer",), options={"to": "relu"})
    parts = prescribed(("nowhere", "activation", (nowhere,)), ("relu", "activation", (RELU, HE)))
    cured, failed = try_remedies(subject, dataclasses.replace(report, prescriptions=parts), ON).trials
    assert (cured.remedies, cured.outcome) == (("relu",), "cured")
    assert (failed.outcome, failed.effect, failed.training) == ("not applied", None, None)
    assert failed.reason


def test_a_spent_budget_is_said() -> None:
    report = examine(subject_of(mlp()), dataclasses.replace(ON, try_budget=1e-9))
    assert report.trials == ()
    reasons = {p.reason for p in report.prescriptions if p.edits}
    assert reasons == {"the time budget of 1e-09 s is used up"}
    assert [f.code for f in report.findings] == ["GC101"]


class Net(nn.Module):
    """The sick MLP inside a module that can hold what refuses to be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class WithLock(Net):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class WithGenerator(Net):
    def __init__(self) -> None:
        super().__init__()
        self.stream = (i for i in range(3))


class WithClosure(Net):
    def __init__(self) -> None:
        super().__init__()
        self.run = lambda x: self.body(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x)


def old_weight_norm() -> nn.Module:
    model = Net()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model.body[24])
    model(torch.ones(1, 16))
    return model


@pytest.mark.parametrize("build", [Net, WithLock, WithGenerator, WithClosure, old_weight_norm], ids=lambda b: b.__name__)
def test_the_original_is_untouched_and_uncopyable_models_are_treated_too(build: Callable[[], nn.Module]) -> None:
    model = build()
    subject = subject_of(model)
    state, before = torch.get_rng_state(), digest(model)
    report = examine(subject, ON)
    assert report.trials[0].outcome == "cured"
    assert digest(model) == before
    assert torch.equal(torch.get_rng_state(), state)
    said = " ".join(report.profiles[0].assumptions)
    assert ("tried on the model itself" in said) is (build is WithClosure)


@pytest.mark.parametrize("build", [Net, WithClosure])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("when", [3, 40])
def test_the_original_is_untouched_when_a_trial_ends_badly(
    build: Callable[[], nn.Module], error: type[BaseException], when: int
) -> None:
    """The error comes in the first measurement of an edited model, and in the middle of its training."""
    model, calls = build(), 0

    def failing(model: nn.Module, batch: Batch) -> Outcome:
        nonlocal calls
        edited = any(isinstance(m, nn.ReLU) for m in model.modules())
        calls += edited
        if calls >= when:
            raise error("stop")
        return compute(model, batch)

    subject = subject_of(model, compute=failing)
    before = digest(model)
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            examine(subject, ON)
    else:
        report = examine(subject, ON)
        assert [f.code for f in report.findings] == ["GC101"]
        relu = next(t for t in report.trials if t.remedies == ("relu",))
        assert "stop" in relu.reason or relu.outcome == "not applied"
    assert digest(model) == before


def test_the_original_is_untouched_when_time_runs_out_in_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    from gradcheck_cli.trials import deadline

    model, now = Net(), 0.0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return now

    def slow(model: nn.Module, batch: Batch) -> Outcome:
        nonlocal now
        now += 5.0 * any(isinstance(m, nn.ReLU) for m in model.modules())
        return compute(model, batch)

    monkeypatch.setattr(deadline, "time", Clock)
    subject = subject_of(model, compute=slow)
    before = digest(model)
    report = examine(subject, dataclasses.replace(ON, try_budget=30.0))
    assert digest(model) == before
    assert [f.code for f in report.findings] == ["GC101"]
    spent = [p for p in report.prescriptions if p.edits and p.status == "not tried"]
    assert all(p.reason for p in spent)
    relu = next((t for t in report.trials if t.remedies == ("relu",)), None)
    assert relu is None or relu.training is None


def test_several_findings_share_a_cure() -> None:
    """What cured one finding is tried first on the next, and says what else it cures."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))
    with torch.no_grad():
        model[0].weight.fill_(0.1)
        model[2].bias.fill_(-9.0)
    report = examine(subject_of(model), ON)
    assert [f.code for f in report.findings if f.severity != "note"] == ["GC201", "GC302"]
    for finding in report.findings:
        assert any(t.code == finding.code for t in report.trials)
