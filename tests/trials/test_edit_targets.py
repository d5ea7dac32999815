"""Targets of all batches brought to another scale, range, coding or shape."""

from __future__ import annotations

import math

import pytest
import torch
from prepared import data, drawn, fingerprint, loss_of, setup
from torch import nn
from torch.nn import functional as F

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup, apply


def _made(*targets, model=None, loss=F.mse_loss) -> Setup:
    made = drawn(lambda: nn.Linear(3, targets[0].shape[-1])) if model is None else model
    return setup(made, *((data(len(t), 3, seed=i), t) for i, t in enumerate(targets)), loss=loss)


def _edited(made: Setup, how: str, **options) -> Setup:
    before = fingerprint(made.subject.model), [fingerprint(b) for b in made.subject.batches]
    edited = apply(made, (Edit(kind="targets", options={"how": how, **options}),))
    assert (fingerprint(made.subject.model), [fingerprint(b) for b in made.subject.batches]) == before
    assert edited.new_loss_scale
    return edited


def _targets(edited: Setup) -> list[torch.Tensor]:
    return [batch.target for batch in edited.subject.batches]


def test_standardise_each_column_over_all_batches() -> None:
    scale = torch.tensor([1e5, 3.0])
    first, second = data(9, 2) * scale + 4e5, data(5, 2, seed=1) * scale
    both = torch.cat([first, second]).double()
    expected = (both - both.mean(0)) / both.std(0, correction=0)
    edited = _edited(_made(first, second), "standardise")
    torch.testing.assert_close(torch.cat(_targets(edited)), expected.float())


def test_standardise_whole_numbers_and_images() -> None:
    whole = torch.arange(8).reshape(8, 1) * 100
    edited = _targets(_edited(_made(whole, loss=lambda o, t: F.mse_loss(o, t.float())), "standardise"))[0]
    assert edited.dtype == torch.float32
    assert edited.std(correction=0).item() == pytest.approx(1.0)
    images = 1000 * data(4, 2, 5, 5)
    made = setup(drawn(lambda: nn.Conv2d(1, 2, 1)), (data(4, 1, 5, 5), images))
    torch.testing.assert_close(_targets(_edited(made, "standardise"))[0], (images - images.mean()) / images.std(correction=0))


@pytest.mark.parametrize("how", ["standardise", "range"])
def test_classes_are_no_quantities(how: str) -> None:
    made = setup(drawn(lambda: nn.Linear(3, 4)), (data(8, 3), torch.arange(8) % 4), loss=F.cross_entropy, kind="cross_entropy")
    with pytest.raises(NotApplicable, match="are classes"):
        _edited(made, how, low=0, high=1)


def test_range_maps_the_ends_onto_the_bounds() -> None:
    first, second = torch.tensor([[0.0], [50.0]]), torch.tensor([[25.0], [100.0]])
    edited = _targets(_edited(_made(first, second), "range", low=-1, high=1))
    assert [t.flatten().tolist() for t in edited] == [[-1.0, 0.0], [-0.5, 1.0]]


def test_range_with_an_open_side_starts_at_the_bound() -> None:
    target = 1000 * data(32, 1)
    upward = _targets(_edited(_made(target), "range", low=0.0, high=math.inf))[0]
    assert upward.min() == 0
    assert upward.std(correction=0).item() == pytest.approx(1.0)
    downward = _targets(_edited(_made(target), "range", low=-math.inf, high=0.0))[0]
    assert downward.max() == 0
    torch.testing.assert_close(upward - upward.mean(), downward - downward.mean())


def test_binary_makes_the_two_values_zero_and_one() -> None:
    signs = torch.tensor([[-1.0], [1.0], [1.0]])
    edited = _targets(_edited(_made(signs), "binary"))[0]
    assert edited.dtype == signs.dtype
    assert edited.flatten().tolist() == [0.0, 1.0, 1.0]


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_shape_is_the_outputs_in_every_batch() -> None:
    made = _made(data(9), data(5, seed=1), model=drawn(lambda: nn.Linear(3, 1)))
    edited = _edited(made, "shape")
    assert [tuple(t.shape) for t in _targets(edited)] == [(9, 1), (5, 1)]
    output = made.subject.model(made.subject.batches[0].args[0])
    assert loss_of(edited).item() == pytest.approx((output[:, 0] - made.subject.batches[0].target).square().mean().item())


def test_a_target_that_the_model_is_given_too_changes_in_both_places() -> None:
    class WithLoss(nn.Linear):
        def forward(self, x, labels=None):
            return F.mse_loss(super().forward(x), labels)

    labels = 1e4 * data(8, 2)
    batch = Batch(args=(data(8, 3),), kwargs={"labels": labels}, target=labels)
    made = setup(drawn(lambda: WithLoss(3, 2)), batch, loss=lambda loss, _: loss)
    edited = _edited(made, "standardise")
    after = edited.subject.batches[0]
    assert after.kwargs["labels"] is after.target
    assert after.target is not labels
    assert loss_of(edited).item() < 1e-4 * loss_of(made).item()


@pytest.mark.parametrize(
    ("target", "how", "options", "reason"),
    [
        (torch.ones(4, 1), "standardise", {}, "do not vary"),
        (torch.tensor([[0.1], [0.9]]), "range", {"low": 0, "high": 1}, "lie between 0 and 1 already"),
        (torch.tensor([[math.nan], [9.0]]), "range", {"low": 0, "high": 1}, "NaN or infinity"),
        (torch.tensor([[0.0], [1.0]]), "binary", {}, "0 and 1 already"),
        (torch.tensor([[0.0], [1.0], [2.0]]), "binary", {}, "3 different values"),
        (data(6, 1), "shape", {}, "output's shape already"),
    ],
)
def test_targets_that_cannot_be_changed_so(target, how: str, options, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        _edited(_made(target), how, **options)


def test_without_one_target_of_its_own() -> None:
    mean = lambda output, _: output.square().mean()
    x = data(8, 3)
    auto = drawn(lambda: nn.Linear(3, 3))
    for batch, reason in (
        (Batch(args=(x,)), "no target of its own"),
        (Batch(args=(x,), target={"a": x[:, :1], "b": x[:, 1:]}), "several targets"),
        (Batch(args=(x,), target=x), "is the input itself"),
    ):
        with pytest.raises(NotApplicable, match=reason):
            _edited(setup(auto, batch, loss=mean), "standardise")
