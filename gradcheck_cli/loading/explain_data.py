"""Errors of data whose shape, values or place do not fit the model (E340, E342 to E350)."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import nn

from gradcheck_cli.errors import GradcheckError, message
from gradcheck_cli.loading.model_checks import entry_of
from gradcheck_cli.loading.scene import Scene
from gradcheck_cli.loading.signatures import signature_of

_Maker = Callable[["re.Match[str]", Scene], GradcheckError | None]


def translate(error: BaseException, scene: Scene) -> GradcheckError | None:
    """The data error that the message stands for, None for other messages."""
    text = message(error)
    for pattern, make in _TABLE:
        match = re.search(pattern, text)
        if match is not None and (told := make(match, scene)) is not None:
            return told
    if isinstance(error, IndexError) and "index out of range in self" in text:
        return _index(None, scene)
    return None


def _size(expected: str, got: str, what: str, scene: Scene) -> GradcheckError:
    """E340; the advice depends on whether the batch reaches the layer unchanged."""
    if scene.is_first:
        advice = f"give inputs with {expected} {what}{_such_as(expected, got, what, scene)}, or build the layer for {got}"
    else:
        advice = (
            "either the input has another size than the network was built for, or this layer does not fit the one before it"
        )
    return GradcheckError(
        "E340", f"{scene.place} expects {expected} {what} and got {got}", f"inputs were {scene.inputs()}", advice
    )


def _such_as(expected: str, got: str, what: str, scene: Scene) -> str:
    """The shape the only input would have to have, in brackets."""
    shapes = [list(tensor.shape) for tensor in scene.tensors().values()]
    dim = 1 if what == "channels" else -1
    if len(shapes) != 1 or len(shapes[0]) < 2 or not expected.isdigit() or str(shapes[0][dim]) != got:
        return ""
    shapes[0][dim] = int(expected)
    return f" (shape {shapes[0]})"


def _multiply(match: re.Match[str], scene: Scene) -> GradcheckError | None:
    got, expected = match[1], match[2]
    if isinstance(scene.module, nn.Linear):
        expected = str(scene.module.in_features)
    return _size(expected, got, "features", scene)


def _channels(match: re.Match[str], scene: Scene) -> GradcheckError:
    return _size(match[1], match[2], "channels", scene)


def _features(match: re.Match[str], scene: Scene) -> GradcheckError:
    return _size(match[1], match[2], "features", scene)


def _features_reversed(match: re.Match[str], scene: Scene) -> GradcheckError:
    return _size(match[2], match[1], "features", scene)


def _shape(match: re.Match[str], scene: Scene) -> GradcheckError:
    got = match[2].split(", ")[-len(match[1].split(", ")) :]
    return _size(" x ".join(match[1].split(", ")), " x ".join(got), "features", scene)


def _rank(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E340",
        f"{scene.place} expects a {match[1]} input and got {match[2]}",
        f"inputs were {scene.inputs()}",
        "add the missing dimension (batch, channels or length), or --input with it",
    )


def _too_small(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E340",
        f"{scene.place} got an input of {match[1]}, smaller than its kernel {match[2]}",
        f"inputs were {scene.inputs()}",
        "use larger inputs: each pooling or stride before it shrank them",
    )


def _index(_match: re.Match[str] | None, scene: Scene) -> GradcheckError | None:
    tables = [scene.module] if isinstance(scene.module, (nn.Embedding, nn.EmbeddingBag)) else []
    tables = tables or [m for m in scene.subject.model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag))]
    whole = [
        t
        for t in scene.tensors().values()
        if not t.is_floating_point() and not t.is_complex() and t.numel() and t.dtype != torch.bool
    ]
    if not tables:
        return None
    rows = min(table.num_embeddings for table in tables)
    span = (
        f"the batch holds {min(int(t.min()) for t in whole)} to {max(int(t.max()) for t in whole)}"
        if whole
        else "the indices are computed in forward"
    )
    return GradcheckError(
        "E342",
        f"an index is outside the {rows} rows of {scene.place}",
        f"allowed are 0 to {rows - 1}; {span}",
        "enlarge num_embeddings, or map unknown indices into the range",
    )


def _arguments(match: re.Match[str], scene: Scene) -> GradcheckError | None:
    model = scene.subject.model
    if match[1].rpartition(".")[2] != type(model).__name__:
        return None  # a call inside the network: not the batch's fault
    signature = signature_of(entry_of(model))
    given = [*(f"input {i}" for i in range(len(scene.batch.args))), *scene.batch.kwargs]
    takes = ", ".join([*signature.positional, *(f"*, {n}" for n in signature.keyword_only)])
    if "keyword-only" in match[2]:
        names = ", ".join(re.findall(r"'(\w+)'", match[2]))
        return GradcheckError(
            "E344",
            f"forward needs the keyword argument {names}",
            f"it takes ({takes}); the batch gives {', '.join(given)}",
            f"make the batch a dictionary with the key {names}",
        )
    return GradcheckError(
        "E343",
        f"forward({takes}) does not fit the batch: {match[2]}",
        f"the batch gives {', '.join(given) or 'nothing'}",
        "make the batch a dictionary with forward's parameter names as keys, or a tuple in their order",
    )


def _single_sample(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E345",
        f"{scene.place} cannot normalise over a single value per channel",
        f"its input has shape {match[1]}",
        "use a batch of at least 2 samples",
    )


def _device(match: re.Match[str], scene: Scene) -> GradcheckError:
    devices = sorted(
        {str(p.device) for p in scene.subject.model.parameters()} | {str(t.device) for t in scene.tensors().values()}
    )
    return GradcheckError(
        "E348",
        f"{scene.place} met tensors on different devices",
        f"model and batch are on {', '.join(devices)}; torch says: {' '.join(match.string.split())[:160]}",
        "register constants as buffers, or make new tensors with device=x.device; --device moves model and batch",
    )


def _guard(match: re.Match[str], scene: Scene) -> GradcheckError:
    return GradcheckError(
        "E350",
        "the exported program refuses this batch",
        f"it demands {match[1].strip()}; inputs were {scene.inputs()}",
        "give a batch of the size it was exported with, or export it with dynamic shapes",
    )


_TABLE: tuple[tuple[str, _Maker], ...] = (
    (r"mat1 and mat2 shapes cannot be multiplied \(\d+x(\d+) and (\d+)x\d+\)", _multiply),
    (r"expected input\[[\d, ]*\] to have (\d+) channels, but got (\d+) channels", _channels),
    (r"input\.size\(-1\) must be equal to input_size\. Expected (\d+), got (\d+)", _features),
    (r"input has inconsistent input_size: got (\d+) expected (\d+)", _features_reversed),
    (r"expected input with shape \[\*, ([\d, ]+)\], but got input of size\[([\d, ]+)\]", _shape),
    (r"running_mean should contain (\d+) elements not (\d+)", _features_reversed),
    (r"was expecting embedding dimension of (\d+), but got (\d+)", _features),
    (r"does not match weight size: got (\d+) but expected (\d+)", _features_reversed),
    (r"Expected (\d+D (?:\(unbatched\) )?or \d+D(?: \(batched\))?) input to \w+, but got input of size: (\[[\d, ]+\])", _rank),
    (r"Expected input to be (\d+D or \d+D), got (\d+D)", _rank),
    (r"expected (\d+D(?: or \d+D)?) input \(got (\d+D) input\)", _rank),
    (r"Calculated padded input size per channel: (\([\d x]+\))\. Kernel size: (\([\d x]+\))", _too_small),
    (r"takes value -?\d+ which is not in the valid range", _index),
    (r"([\w.<>]+)\.forward\(\) ((?:missing|takes|got) .*)", _arguments),
    (r"Expected more than 1 value per channel when training, got input size torch\.Size\((\[[\d, ]+\])\)", _single_sample),
    (r"Expected all tensors to be on the same device|is not on the expected device|Input type \(torch\.cuda", _device),
    (r"^Guard failed: (.*)", _guard),
)
