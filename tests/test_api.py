"""`from gradcheck_cli import scan, assert_healthy`: in this process, on the caller's own objects."""

from __future__ import annotations

import html
import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradcheck_cli import GradcheckError, Report, Settings, assert_healthy, scan
from gradcheck_cli.api import as_text
from gradcheck_cli.records import from_dict, to_dict


def deep_sigmoid(depth: int = 12) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*[part for _ in range(depth) for part in (nn.Linear(16, 16), nn.Sigmoid())], nn.Linear(16, 4))


def shallow() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 4))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(32, 16, generator=generator), torch.randint(0, 4, (32,), generator=generator)


def test_a_sick_model_gets_the_report_that_the_command_line_prints() -> None:
    report = scan(deep_sigmoid(), batch(), nn.CrossEntropyLoss(), no_try=True)
    assert isinstance(report, Report)
    assert [f.code for f in report.findings][:1] == ["GC101"]
    assert report.target == "Sequential"
    assert report.profiles[0].objective.kind == "cross_entropy"
    assert len(report.findings[0].fingerprint) == 32
    assert "error GC101 vanishing-gradient" in as_text(report)
    assert to_dict(from_dict(Report, to_dict(report))) == to_dict(report)


def test_remedies_are_tried_here_too() -> None:
    report = scan(deep_sigmoid(), batch(), nn.CrossEntropyLoss(), try_budget=60)
    assert any(trial.outcome == "cured" for trial in report.trials)


@pytest.mark.parametrize("make", [deep_sigmoid, shallow])
def test_nothing_of_the_callers_is_changed(make) -> None:
    model, (x, y) = make(), batch()
    model[0].weight.grad = torch.full_like(model[0].weight, 3.0)
    kept = model[0].weight.grad
    model.eval()
    model[0].train()
    random.seed(5)
    np.random.seed(5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    loss_fn = nn.CrossEntropyLoss(weight=torch.ones(4))
    scan(model, (x, y), loss_fn, try_budget=2)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert model[0].weight.grad is kept
    assert torch.equal(kept, torch.full_like(kept, 3.0))
    assert all(p.grad is None for p in list(model.parameters())[1:])
    assert modes == [module.training for module in model.modules()]
    assert not any(m._forward_hooks or m._backward_hooks for m in model.modules())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert np.array_equal(states[2], np.random.get_state()[1])
    assert x.grad is None


def test_two_scans_say_the_same() -> None:
    model = deep_sigmoid()
    one, other = (to_dict(scan(model, batch(), "cross_entropy", no_try=True)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    "given",
    [
        batch(),
        list(batch()),
        {"input": batch()[0], "target": batch()[1]},
        DataLoader(TensorDataset(*batch()), batch_size=8),
        batch()[0],
        None,
    ],
    ids=["pair", "list", "dictionary", "loader", "inputs", "nothing"],
)
def test_a_batch_may_have_any_form_that_a_file_may_hold(given: object) -> None:
    report = scan(shallow(), given, nn.CrossEntropyLoss(), no_try=True)
    assert [f for f in report.findings if f.grave] == []
    assert bool(report.profiles[0].assumptions) == (given is None or isinstance(given, torch.Tensor))


def test_a_function_an_optimizer_and_a_name_are_taken() -> None:
    model = shallow()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    report = scan(
        model, batch(), lambda output, target: (output.logsumexp(1) - output[:, 0]).mean(), optimizer=optimizer, no_try=True
    )
    assert report.profiles[0].optimizer is not None
    assert (report.profiles[0].optimizer.name, report.profiles[0].optimizer.lr) == ("SGD", 0.25)
    report = scan(model, batch(), "cross_entropy", optimizer="adamw", lr=0.125, target="tiny", no_try=True)
    assert report.target == "tiny"
    assert report.profiles[0].optimizer is not None
    assert (report.profiles[0].optimizer.name, report.profiles[0].optimizer.lr) == ("AdamW", 0.125)


def test_options_select_ignore_and_set_limits() -> None:
    model, given = deep_sigmoid(), (batch(), "cross_entropy")
    assert scan(model, *given, no_try=True, select="GC6").findings == ()
    muted = scan(model, *given, no_try=True, per_layer_ignores={"*": ["GC101", "GC2"]}, select=("GC101",))
    assert muted.findings == ()
    assert [s.finding.code for s in muted.suppressed] == ["GC101"]
    softened = scan(model, *given, no_try=True, rules={"GC101": {"severity": "warning"}}, select="GC101")
    assert [f.severity for f in softened.findings] == ["warning"]


@pytest.mark.parametrize(
    ("options", "id", "do"),
    [
        ({"sed": 1}, "E674", "did you mean `seed`?"),
        ({"seed": -1}, "E675", ""),
        ({"select": "GC999"}, "E678", ""),
        ({"select": ""}, "E675", ""),
        ({"select": ()}, "E675", ""),
        ({"ignore": "ALL"}, "E681", ""),
        ({"select": "GC901"}, "E681", ""),
        ({"device": "cuda"}, "E680", "leave it out"),
        ({"timeout": 3}, "E680", "leave it out"),
        ({"baseline": "none.json"}, "E683", ""),
    ],
)
def test_a_wrong_option_is_the_error_that_the_flag_would_be(options: dict[str, object], id: str, do: str) -> None:
    with pytest.raises(GradcheckError) as caught:
        scan(shallow(), batch(), "cross_entropy", no_try=True, **options)
    assert caught.value.id == id
    assert do in caught.value.do


@pytest.mark.parametrize("beside", [{"batch": 3}, {"loss_fn": "mse"}, {"optimizer": "sgd"}, {"target": "x"}, {"threads": 1}])
def test_what_a_file_says_itself_cannot_be_given_beside_it(beside: dict[str, object]) -> None:
    with pytest.raises(GradcheckError) as caught:
        scan("model.py", **beside)
    assert (caught.value.id, caught.value.what) == ("E680", f"`{next(iter(beside))}` does not go with what is scanned")
    report = scan(shallow(), batch(), "cross_entropy", no_try=True)
    with pytest.raises(GradcheckError, match="does not go with"):
        assert_healthy(report, batch())
    with pytest.raises(GradcheckError, match="does not go with"):
        scan(Settings(target="model.py"), seed=3)


def test_scans_in_threads_wait_for_each_other() -> None:
    models = [deep_sigmoid(6), shallow(), deep_sigmoid(6)]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda model: scan(model, batch(), "cross_entropy", no_try=True), models))
    assert to_dict(made[0]) == to_dict(made[2])
    assert to_dict(made[1]) == to_dict(scan(models[1], batch(), "cross_entropy", no_try=True))


def test_what_is_no_model_is_an_error() -> None:
    with pytest.raises(GradcheckError) as caught:
        scan(3)  # type: ignore[arg-type]
    assert caught.value.id == "E114"


def test_a_path_and_settings_scan_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text("from torch import nn\nmodel = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))\n")
    by_path = scan("model.py", no_try=True)
    assert by_path.target == "model.py"
    assert to_dict(scan(Settings(target="model.py", no_try=True))) == to_dict(by_path)
    assert to_dict(scan(Path("model.py"), no_try=True)) == to_dict(by_path)
    assert by_path.identity == scan(f"../{tmp_path.name}/model.py", no_try=True).identity


def test_assert_healthy_raises_with_the_text_report_and_returns_it_otherwise() -> None:
    with pytest.raises(AssertionError, match=r"(?s)verdict   sick.*error GC101 vanishing-gradient") as caught:
        assert_healthy(deep_sigmoid(), batch(), "cross_entropy", no_try=True)
    assert "\x1b" not in str(caught.value)
    report = assert_healthy(shallow(), batch(), "cross_entropy", no_try=True)
    assert assert_healthy(report) is report
    sick = scan(deep_sigmoid(), batch(), "cross_entropy", no_try=True, rules={"GC101": {"severity": "warning"}}, select="GC101")
    assert_healthy(sick)
    with pytest.raises(AssertionError):
        assert_healthy(sick, fail_on="warning")


def test_a_notebook_shows_the_report_in_colour_and_escaped() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module("<script>alert(1)</script>", nn.Linear(16, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return next(self.children())(x)

    model = nn.Sequential(*[part for _ in range(12) for part in (nn.Linear(16, 16), nn.Sigmoid())], Odd())
    report = scan(model, batch(), "cross_entropy", no_try=True, target="</pre><img src=x>")
    shown = report._repr_html_()
    assert shown.startswith("<pre")
    assert set(re.findall(r"</?(\w+)", shown)) == {"pre", "code", "span"}
    text = html.unescape(re.sub(r"<[^>]*>", "", shown))
    assert "</pre><img src=x> · Sequential" in text
    assert "error GC101 vanishing-gradient" in text
    assert "\x1b" not in shown
    assert 'style="' in shown
