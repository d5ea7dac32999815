"""Batches for Hugging Face models, from their configuration alone; transformers itself is never imported here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gradcheck_cli.errors import GradcheckError
from gradcheck_cli.loading.context import Context
from gradcheck_cli.loading.found_data import MINIMUM_KEPT, FoundData
from gradcheck_cli.loading.frames import one_line
from gradcheck_cli.loading.rehearsal import rehearsal
from gradcheck_cli.loading.signatures import Signature
from gradcheck_cli.loading.transfer import to_place

_ROWS, _TOKENS = 4, 16
_FIRST_ORDINARY = 5  # below it vocabularies keep their special tokens


def is_hugging_face(model: nn.Module) -> bool:
    """Whether the model's class descends from transformers' PreTrainedModel."""
    return any(
        base.__name__ == "PreTrainedModel" and base.__module__.startswith("transformers.") for base in type(model).__mro__
    )


def synthesise(context: Context, model: nn.Module, forward: Signature) -> FoundData:
    """Random tokens, images or sound, with labels where the class has a head for them; raises E339."""
    last: Exception | None = None
    with rehearsal(model) as copied:
        for labelled in (True, False):
            batches = [_batch(context, model, forward, number, labelled) for number in range(MINIMUM_KEPT)]
            batch = batches[0]
            try:
                copied(**batch)
            except GradcheckError:
                raise
            except Exception as exc:
                last = exc
                continue
            listed = ", ".join(f"`{name}` {list(value.shape)}" for name, value in batch.items() if isinstance(value, Tensor))
            context.assume(f"no data was found: the batch is made up from the model's configuration: {listed}")
            return FoundData(raws=batches, origin="synthesised", has_target=False, made=True)
    raise GradcheckError(
        "E339",
        f"no data was found and none could be made up for {type(model).__name__}",
        one_line(last, 200) if last is not None else "its configuration names no input",
        "add a dictionary `batch` to the file, with `labels` in it",
    )


def _batch(context: Context, model: nn.Module, forward: Signature, number: int, labelled: bool) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(context.settings.seed + number)
    inputs = _inputs(model, forward, generator)
    labels = _labels(model, forward, inputs, generator) if labelled else {}
    placed: dict[str, Any] = to_place(model, context.settings)({**inputs, **labels})
    return placed


def _inputs(model: nn.Module, forward: Signature, generator: torch.Generator) -> dict[str, Any]:
    config: Any = model.config
    main = str(getattr(model, "main_input_name", "input_ids"))
    made: dict[str, Any] = {}
    if main == "input_ids" or (forward.accepts("input_ids") and _from(config, "text_config") is not None):
        made["input_ids"] = _tokens(config, generator)
    if main == "pixel_values" or (forward.accepts("pixel_values") and _from(config, "vision_config") is not None):
        made["pixel_values"] = _pixels(config, generator)
    if main == "input_values":
        made["input_values"] = torch.randn(_ROWS, 8000, generator=generator)
    if main == "input_features":
        bins, positions = _number(config, "num_mel_bins", 80), _number(config, "max_source_positions", 64)
        made["input_features"] = torch.randn(_ROWS, bins, 2 * positions, generator=generator)
    if forward.accepts("return_loss"):
        made["return_loss"] = True
    if getattr(config, "is_encoder_decoder", False) and not forward.accepts("labels") and forward.accepts("decoder_input_ids"):
        made["decoder_input_ids"] = _tokens(config, generator)
    return made


def _labels(model: nn.Module, forward: Signature, inputs: dict[str, Any], generator: torch.Generator) -> dict[str, Any]:
    kind, classes = type(model).__name__, int(getattr(model.config, "num_labels", 2) or 2)
    tokens = inputs.get("input_ids")
    rows, length = _ROWS, tokens.shape[1] if tokens is not None else _TOKENS
    if forward.accepts("start_positions") and tokens is not None:
        return {n: torch.randint(0, length, (rows,), generator=generator) for n in ("start_positions", "end_positions")}
    if not forward.accepts("labels"):
        return {}
    if "Classification" in kind and "Token" not in kind:
        if classes == 1:
            return {"labels": torch.randn(rows, generator=generator)}
        return {"labels": torch.randint(0, classes, (rows,), generator=generator)}
    if "TokenClassification" in kind:
        return {"labels": torch.randint(0, classes, (rows, length), generator=generator)}
    if "Segmentation" in kind and "pixel_values" in inputs:
        return {"labels": torch.randint(0, classes, (rows, *inputs["pixel_values"].shape[-2:]), generator=generator)}
    if "MultipleChoice" in kind and tokens is not None:
        inputs["input_ids"] = torch.stack([tokens, tokens.flip(1)], 1)
        return {"labels": torch.randint(0, 2, (rows,), generator=generator)}
    if (
        tokens is not None
        and getattr(model.config, "is_encoder_decoder", False) is False
        and ("Causal" in kind or "LMHead" in kind)
    ):
        return {"labels": tokens.clone()}  # shifted inside the model
    return {"labels": _tokens(model.config, generator)}  # labels equal to the inputs would be read off tied embeddings


def _from(config: Any, part: str) -> Any:
    return getattr(config, part, None)


def _number(config: Any, name: str, default: int) -> int:
    for holder in (config, _from(config, "text_config"), _from(config, "vision_config")):
        value = getattr(holder, name, None)
        value = value[0] if isinstance(value, (tuple, list)) and value else value
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return default


def _tokens(config: Any, generator: torch.Generator) -> Tensor:
    vocabulary = _number(config, "vocab_size", 100)
    length = min(_TOKENS, _number(config, "max_position_embeddings", _TOKENS), _number(config, "n_positions", _TOKENS))
    lowest = _FIRST_ORDINARY if vocabulary > 2 * _FIRST_ORDINARY else 0
    tokens = torch.randint(lowest, vocabulary, (_ROWS, length), generator=generator)
    end = getattr(config, "eos_token_id", None)
    if isinstance(end, int) and 0 <= end < vocabulary:
        tokens[:, -1] = end  # some heads read the state at the end token
    return tokens


def _pixels(config: Any, generator: torch.Generator) -> Tensor:
    size = _number(config, "image_size", 224)
    return torch.randn(_ROWS, _number(config, "num_channels", 3), size, size, generator=generator)
