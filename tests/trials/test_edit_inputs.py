"""Inputs of all batches brought to a usual scale, or samples dropped that are not finite."""

from __future__ import annotations

import math
from collections import namedtuple

import pytest
import torch
from prepared import data, drawn, fingerprint, loss_of, setup
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from gradcheck_cli.loading.base import Batch
from gradcheck_cli.loading.fit_batch import fit
from gradcheck_cli.loading.signatures import signature_of
from gradcheck_cli.records import Edit
from gradcheck_cli.trials.base import NotApplicable, Setup, apply

LARGE = torch.tensor([1.0, 50.0, 300.0])


def _linear():
    return drawn(lambda: nn.Linear(3, 2))


def _batch(x, seed=0, **fields):
    return Batch(args=(x,), target=data(len(x), 2, seed=seed), **fields)


def _edited(made: Setup, how: str, **options) -> Setup:
    before = fingerprint(made.subject.model), [fingerprint(b) for b in made.subject.batches]
    edited = apply(made, (Edit(kind="inputs", options={"how": how, **options}),))
    assert (fingerprint(made.subject.model), [fingerprint(b) for b in made.subject.batches]) == before
    return edited


def _x(edited: Setup, batch=0):
    return edited.subject.batches[batch].args[0]


def test_standardise_takes_each_feature_over_all_batches() -> None:
    first, second = data(20, 3) * LARGE + 7, data(12, 3, seed=1) * LARGE - 4
    edited = _edited(setup(_linear(), _batch(first), _batch(second)), "standardise")
    together = torch.cat([first, second])
    mean, std = together.mean(0), together.std(0, correction=0)
    for i, raw in enumerate((first, second)):
        torch.testing.assert_close(_x(edited, i), (raw - mean) / std)
    assert not edited.new_loss_scale
    assert edited.subject.batches[0].target is not None


def test_channels_of_images_of_signals_and_of_sequences() -> None:
    images, scale = data(6, 3, 5, 5), LARGE
    conv = setup(drawn(lambda: nn.Conv2d(3, 2, 3)), (images * scale.view(3, 1, 1), data(6, 2, 3, 3)))
    torch.testing.assert_close(
        _x(_edited(conv, "standardise")),
        (images - images.mean((0, 2, 3), True)) / images.std((0, 2, 3), correction=0, keepdim=True),
    )
    signals = data(6, 3, 20)
    wave = setup(drawn(lambda: nn.Conv1d(3, 2, 3)), (signals * scale.view(3, 1), data(6, 2, 18)))
    torch.testing.assert_close(
        _x(_edited(wave, "standardise")),
        (signals - signals.mean((0, 2), True)) / signals.std((0, 2), correction=0, keepdim=True),
    )
    steps = data(6, 20, 3)
    sequence = setup(_linear(), (steps * scale, data(6, 20, 2)))
    torch.testing.assert_close(
        _x(_edited(sequence, "standardise")), (steps - steps.mean((0, 1))) / steps.std((0, 1), correction=0)
    )


def test_constant_features_become_zero_and_precision_is_kept() -> None:
    x = torch.stack([1e6 + data(16), torch.full((16,), 123.456), 1e3 * data(16, seed=1)], 1)
    edited = _x(_edited(setup(_linear(), _batch(x)), "standardise"))
    assert torch.equal(edited[:, 1], torch.zeros(16))
    assert edited[:, 0].double().std(correction=0).item() == pytest.approx(1.0, abs=1e-4)
    assert edited.dtype == torch.float32
    half = setup(_linear().half(), (data(16, 3).half() * 100, data(16, 2).half()))
    assert _x(_edited(half, "standardise")).dtype == torch.float16


def test_pixels_of_each_channel_whole_numbers_too() -> None:
    class OfBytes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.conv(x.float())

    raw = torch.randint(0, 256, (8, 3, 6, 6), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    edited = _x(_edited(setup(drawn(OfBytes), (raw, data(8, 2, 4, 4))), "pixels"))
    unit = raw.float() / 255
    torch.testing.assert_close(edited, (unit - unit.mean((0, 2, 3), True)) / unit.std((0, 2, 3), correction=0, keepdim=True))
    flat = setup(drawn(lambda: nn.Linear(108, 2)), (raw.float().flatten(1), data(8, 2)))
    assert _x(_edited(flat, "pixels")).std(correction=0).item() == pytest.approx(1.0)


def test_tokens_are_no_pixels() -> None:
    tokens = torch.arange(12).reshape(4, 3)
    made = setup(drawn(lambda: nn.Sequential(nn.Embedding(20, 4), nn.Flatten())), (tokens, data(4, 12)))
    for how in ("pixels", "standardise"):
        with pytest.raises(NotApplicable, match="usual scale"):
            _edited(made, how)


def test_one_feature_alone_is_standardised_or_read_in_logarithms() -> None:
    x = data(32, 3)
    wages = torch.stack([x[:, 0], 52_000 + 18_000 * x[:, 1], x[:, 2]], 1)
    edited = _x(_edited(setup(_linear(), _batch(wages)), "feature", feature=1))
    assert torch.equal(edited[:, [0, 2]], wages[:, [0, 2]])
    expected = (wages[:, 1] - wages[:, 1].mean()) / wages[:, 1].std(correction=0)
    torch.testing.assert_close(edited[:, 1], expected)
    decades = torch.stack([x[:, 0], 10 ** (4 + x[:, 1]), x[:, 2]], 1)
    edited = _x(_edited(setup(_linear(), _batch(decades)), "feature", feature=1))
    torch.testing.assert_close(edited[:, 1], decades[:, 1].log1p())
    with pytest.raises(NotApplicable, match="usual scale"):
        _edited(setup(_linear(), _batch(wages)), "feature", feature=0)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.place = nn.Linear(3, 2), nn.Linear(1, 2)

    def forward(self, x, *, positions, mask):
        distances = (positions[:, :1] - positions[:, 1:]).square().sum(-1, keepdim=True).rsqrt()
        return (self.read(x) + self.place(distances[:, 0])) * mask


def test_positions_masks_and_targets_beside_the_large_input_stay() -> None:
    positions, mask = 30 * data(16, 4, 5, seed=2), torch.ones(16, 2)
    batch = Batch(args=(300 * data(16, 3),), kwargs={"positions": positions, "mask": mask}, target=500 * data(16, 2))
    edited = _edited(setup(drawn(TwoInputs), batch), "standardise")
    after = edited.subject.batches[0]
    assert after.kwargs["positions"] is positions
    assert after.kwargs["mask"] is mask
    assert after.target is batch.target
    assert _x(edited).std().item() == pytest.approx(1.0, rel=0.1)


def test_a_batch_in_the_users_form_is_assembled_from_the_new_values() -> None:
    class OfDict(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, features, scale=None):
            return self.read(features)

    model = drawn(OfDict)
    raw = {"features": 300 * data(16, 3), "labels": data(16, 2), "id": "kept"}
    batch = fit(raw, signature_of(model.forward), targets_to_model=False).batch(raw)
    after = _edited(setup(model, batch), "standardise").subject.batches[0]
    built = after.assemble(after.args, after.kwargs, after.target)
    assert built["features"] is after.kwargs["features"]
    assert built["features"].std().item() == pytest.approx(1.0, rel=0.1)
    assert built["labels"] is raw["labels"]
    assert built["id"] == "kept"
    assert raw["features"].abs().max() > 100


Pair = namedtuple("Pair", "x y")


def test_a_batch_that_the_model_takes_apart_itself() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, pair):
            return self.read(pair.x)

    raw = Pair(300 * data(16, 3), 300 * data(16, 2))
    batch = Batch(args=(raw,), target=raw.y, assemble=lambda args, _kwargs, _target: args[0])
    after = _edited(setup(drawn(Whole), batch), "standardise").subject.batches[0]
    assert isinstance(after.args[0], Pair)
    assert after.args[0].x.std().item() == pytest.approx(1.0, rel=0.1)
    assert after.args[0].y is raw.y


def test_packed_sequences() -> None:
    packed = pack_sequence([300 * data(n, 3, seed=n) for n in (5, 4, 2)])
    made = setup(drawn(lambda: nn.GRU(3, 4)), Batch(args=(packed,)), loss=lambda output, _: output[1].square().mean())
    edited = _x(_edited(made, "standardise"))
    assert isinstance(edited, PackedSequence)
    assert torch.equal(edited.batch_sizes, packed.batch_sizes)
    torch.testing.assert_close(edited.data.std(0, correction=0), torch.ones(3))


def test_an_autoencoders_target_follows_its_input_and_the_loss_has_a_new_unit() -> None:
    x = 300 * data(16, 3)
    auto = drawn(lambda: nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 3)))
    same = _edited(setup(auto, Batch(args=(x,), target=x)), "standardise")
    assert same.subject.batches[0].target is _x(same)
    assert same.new_loss_scale
    none = setup(auto, Batch(args=(x,)), loss=lambda output, _: output.square().mean())
    assert _edited(none, "standardise").new_loss_scale


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (data(16, 3), "usual scale"),
        (torch.full((16, 3), 400.0), "do not vary"),
        (300 * data(16, 3).index_fill(0, torch.tensor([2]), math.nan), "removed first"),
        ((300 * data(16, 3)).requires_grad_(), "derivatives by the input"),
    ],
)
def test_what_cannot_be_standardised(x, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        _edited(setup(_linear(), _batch(x)), "standardise")


def _holed(x, *rows, value=math.nan):
    x = x.clone()
    x[list(rows), 0] = value
    return x


def test_finite_drops_the_rows_of_inputs_and_target_alike() -> None:
    x, y, weight = _holed(data(8, 3), 1, 5), _holed(data(8, 2), 6, value=math.inf), torch.arange(8)

    class Weighted(nn.Linear):
        def forward(self, x, weight):
            return super().forward(x) * weight[:, None]

    made = setup(drawn(lambda: Weighted(3, 2)), Batch(args=(x,), kwargs={"weight": weight}, target=y), (data(8, 3), data(8, 2)))
    made_batches = made.subject.batches[:1]
    made = setup(drawn(lambda: Weighted(3, 2)), *made_batches)
    edited = _edited(made, "finite")
    keep = [0, 2, 3, 4, 7]
    after = edited.subject.batches[0]
    assert torch.equal(after.args[0], x[keep])
    assert torch.equal(after.kwargs["weight"], weight[keep])
    assert torch.equal(after.target, y[keep])
    assert math.isfinite(loss_of(edited).item())


def test_finite_leaves_clean_batches_and_drops_lost_ones() -> None:
    clean, lost = _batch(data(8, 3)), _batch(torch.full((8, 3), math.nan))
    edited = _edited(setup(_linear(), clean, lost), "finite")
    assert edited.subject.batches == (clean,)


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        (_batch(data(8, 3)), "inputs and targets are finite"),
        (_batch(torch.full((8, 3), math.nan)), "every sample"),
        (Batch(args=(_holed(data(6, 8, 3), 1),), target=data(8, 2)), "no first dimension in common"),
        (Batch(args=([_holed(data(8, 3), 1)],), target=data(8, 2)), "a list of samples"),
        (Batch(args=(pack_sequence([_holed(data(4, 3), 1), data(2, 3)]),), target=data(2, 2)), "no first dimension"),
    ],
)
def test_samples_that_cannot_be_dropped(batch: Batch, reason: str) -> None:
    class AnyOf(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, x):
            x = x.data if isinstance(x, PackedSequence) else x[0] if isinstance(x, list) else x
            return self.read(x)

    made = setup(drawn(AnyOf), batch, loss=lambda output, target: F.mse_loss(output.flatten()[:4], target.flatten()[:4]))
    with pytest.raises(NotApplicable, match=reason):
        _edited(made, "finite")
