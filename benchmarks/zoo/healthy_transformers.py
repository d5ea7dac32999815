"""Healthy models of the `transformers` package: random weights from a small configuration, the library's own initialisation.

Nothing is downloaded. A model type that this version of the package lacks is skipped with a printed line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from gradcheck_cli.loading.base import Batch
from zoo.batches import images, labelled_tokens, next_tokens, signals, token_pairs
from zoo.cases import OWN_LOSS, Case, MakeBatch, healthy

try:
    import transformers
except ImportError:
    transformers = None

VOCABULARY, WIDTH, LAYERS, HEADS = 200, 64, 3, 4
_ENCODER = {
    "vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
    "intermediate_size": 128, "max_position_embeddings": 66,
}  # fmt: skip
_DECODER = {**_ENCODER, "num_key_value_heads": 2, "use_cache": False, "pad_token_id": 0, "head_dim": 16}
_VISION = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 128,
    "image_size": 32, "patch_size": 8, "num_labels": 10,
}  # fmt: skip
_MT = {
    "vocab_size": VOCABULARY, "d_model": WIDTH, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "max_position_embeddings": 64,
    "use_cache": False, "pad_token_id": 0, "decoder_start_token_id": 0,
}  # fmt: skip
_AUDIO = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 12,
    "conv_dim": (32, 32, 32), "conv_stride": (5, 4, 4), "conv_kernel": (10, 4, 4), "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "pad_token_id": 0,
}  # fmt: skip


def named(make: MakeBatch, **fields: Callable[[Batch], Any]) -> MakeBatch:
    """Turn a batch of positional tensors into the keywords the model wants."""

    def made() -> Batch:
        batch = make()
        return Batch(kwargs={name: field(batch) for name, field in fields.items()})

    return made


def _masked(batch: Batch) -> torch.Tensor:
    labels = batch.args[0].clone()
    labels[torch.rand(labels.shape) > 0.15] = -100
    labels[:, 0] = batch.args[0][:, 0]
    return labels


def _caption(classes: torch.Tensor) -> torch.Tensor:
    """Eight words that tell the class, then the end token (the largest id), where CLIP reads the sentence off."""
    words = classes[:, None] * 8 + torch.randint(3, 11, (len(classes), 8))
    return torch.cat([words, torch.full((len(classes), 1), VOCABULARY - 1)], 1)


IDS = lambda batch: batch.args[0]  # noqa: E731
TARGET = lambda batch: batch.target  # noqa: E731
LANGUAGE = named(next_tokens(), input_ids=IDS, labels=IDS)
MASKED = named(next_tokens(), input_ids=IDS, labels=_masked)
SENTENCES = named(labelled_tokens(), input_ids=IDS, labels=TARGET)
TRANSLATION = named(token_pairs(), input_ids=IDS, labels=TARGET)
PICTURES = named(images(), pixel_values=IDS, labels=TARGET)
WAVES = named(
    signals(4, 4000, 1), input_values=lambda b: b.args[0][..., 0], labels=lambda b: b.target[:, None].repeat(1, 3) + 1
)
SOUNDS = named(signals(8, 4000, 1), input_values=lambda b: b.args[0][..., 0], labels=TARGET)
MEL = named(
    signals(4, 64, 16), input_features=lambda b: b.args[0].transpose(1, 2), labels=lambda b: b.target[:, None].repeat(1, 6) + 3
)
PAIRS = named(images(12), pixel_values=IDS, input_ids=lambda b: _caption(b.target), return_loss=lambda _: True)
VIDEOS = named(images(4, 12), pixel_values=lambda b: b.args[0].unflatten(1, (4, 3)), labels=TARGET)
SEGMENTS = named(images(4), pixel_values=IDS, labels=lambda b: (b.args[0][:, 0] > 0).long())
FORECAST = named(signals(8, 48, 2), past_values=lambda b: b.args[0][:, :32], future_values=lambda b: b.args[0][:, 32:])


def build(model: str, config: str, options: Mapping[str, Any]) -> nn.Module:
    """Make the model from its configuration alone."""
    return getattr(transformers, model)(getattr(transformers, config)(**options))


# name, model class, configuration class, options, batch, mechanisms
_TABLE: tuple[tuple[str, str, str, dict[str, Any], MakeBatch, str], ...] = (
    ("bert-mlm", "BertForMaskedLM", "BertConfig", _ENCODER, MASKED, "4,8"),
    ("bert-classifier", "BertForSequenceClassification", "BertConfig", {**_ENCODER, "num_labels": 5}, SENTENCES, "4,11"),
    ("roberta", "RobertaForMaskedLM", "RobertaConfig", _ENCODER, MASKED, "4,8"),
    ("distilbert", "DistilBertForSequenceClassification", "DistilBertConfig",
     {"vocab_size": VOCABULARY, "dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 128, "num_labels": 5},
     SENTENCES, "4,11"),
    ("albert", "AlbertForMaskedLM", "AlbertConfig", {**_ENCODER, "embedding_size": 32}, MASKED, "12"),
    ("electra", "ElectraForSequenceClassification", "ElectraConfig", {**_ENCODER, "embedding_size": 32, "num_labels": 5},
     SENTENCES, "4,11"),
    ("deberta-v2", "DebertaV2ForMaskedLM", "DebertaV2Config",
     {**_ENCODER, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]}, MASKED, "4"),
    ("mpnet", "MPNetForSequenceClassification", "MPNetConfig", {**_ENCODER, "num_labels": 5}, SENTENCES, "4,11"),
    ("roformer", "RoFormerForMaskedLM", "RoFormerConfig", _ENCODER, MASKED, "4"),
    ("convbert", "ConvBertForMaskedLM", "ConvBertConfig", {**_ENCODER, "embedding_size": WIDTH}, MASKED, "4"),
    ("fnet", "FNetForMaskedLM", "FNetConfig", {k: v for k, v in _ENCODER.items() if "heads" not in k}, MASKED, "8"),
    ("longformer", "LongformerForMaskedLM", "LongformerConfig", {**_ENCODER, "attention_window": 8}, MASKED, "5"),
    ("xlnet", "XLNetForSequenceClassification", "XLNetConfig",
     {"vocab_size": VOCABULARY, "d_model": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "d_inner": 128, "num_labels": 5},
     SENTENCES, "5,11"),
    ("funnel", "FunnelForSequenceClassification", "FunnelConfig",
     {"vocab_size": VOCABULARY, "d_model": WIDTH, "n_head": HEADS, "d_head": 16, "d_inner": 128, "block_sizes": [2, 2],
      "num_labels": 5}, SENTENCES, "5,11"),
    ("gpt2", "GPT2LMHeadModel", "GPT2Config",
     {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 64, "use_cache": False},
     LANGUAGE, "3,8,12"),
    ("gpt-neo", "GPTNeoForCausalLM", "GPTNeoConfig",
     {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "num_layers": 2, "num_heads": 4,
      "attention_types": [[["global", "local"], 1]],
      "max_position_embeddings": 64, "use_cache": False}, LANGUAGE, "12"),
    ("gpt-neox", "GPTNeoXForCausalLM", "GPTNeoXConfig", {**_ENCODER, "use_cache": False}, LANGUAGE, "3,4"),
    ("opt", "OPTForCausalLM", "OPTConfig",
     {**_ENCODER, "ffn_dim": 128, "word_embed_proj_dim": WIDTH, "use_cache": False, "pad_token_id": 0}, LANGUAGE, "3,12"),
    ("bloom", "BloomForCausalLM", "BloomConfig",
     {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "use_cache": False,
      "pad_token_id": 0},
     LANGUAGE, "3,12"),
    ("falcon", "FalconForCausalLM", "FalconConfig", {**_ENCODER, "use_cache": False}, LANGUAGE, "4"),
    ("codegen", "CodeGenForCausalLM", "CodeGenConfig",
     {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "n_positions": 64,
      "use_cache": False},
     LANGUAGE, "4"),
    ("llama", "LlamaForCausalLM", "LlamaConfig", _DECODER, LANGUAGE, "4,8"),
    ("mistral", "MistralForCausalLM", "MistralConfig", _DECODER, LANGUAGE, "4"),
    ("mixtral", "MixtralForCausalLM", "MixtralConfig", {**_DECODER, "num_local_experts": 4}, LANGUAGE, "4,5"),
    ("gemma", "GemmaForCausalLM", "GemmaConfig", _DECODER, LANGUAGE, "12"),
    ("gemma2", "Gemma2ForCausalLM", "Gemma2Config", _DECODER, LANGUAGE, "12"),
    ("qwen2", "Qwen2ForCausalLM", "Qwen2Config", {k: v for k, v in _DECODER.items() if k != "head_dim"}, LANGUAGE, "3,4"),
    ("phi", "PhiForCausalLM", "PhiConfig", {k: v for k, v in _DECODER.items() if k != "head_dim"}, LANGUAGE, "3"),
    ("stablelm", "StableLmForCausalLM", "StableLmConfig", {k: v for k, v in _DECODER.items() if k != "head_dim"}, LANGUAGE,
     "4"),
    ("olmo", "OlmoForCausalLM", "OlmoConfig", {k: v for k, v in _DECODER.items() if k != "head_dim"}, LANGUAGE, "4"),
    ("mamba", "MambaForCausalLM", "MambaConfig",
     {"vocab_size": VOCABULARY, "hidden_size": 48, "num_hidden_layers": 2, "state_size": 8, "use_cache": False,
      "pad_token_id": 0},
     LANGUAGE, "4,12"),
    ("rwkv", "RwkvForCausalLM", "RwkvConfig",
     {"vocab_size": VOCABULARY, "hidden_size": 48, "num_hidden_layers": 2, "attention_hidden_size": 48, "context_length": 64,
      "use_cache": False}, LANGUAGE, "1,4"),
    ("t5", "T5ForConditionalGeneration", "T5Config",
     {"vocab_size": VOCABULARY, "d_model": WIDTH, "d_kv": 16, "d_ff": 128, "num_layers": 3, "num_heads": 4, "use_cache": False,
      "decoder_start_token_id": 0}, TRANSLATION, "4,10,12"),
    ("bart", "BartForConditionalGeneration", "BartConfig", _MT, TRANSLATION, "3,10,12"),
    ("marian", "MarianMTModel", "MarianConfig", _MT, TRANSLATION, "3,10"),
    ("m2m100", "M2M100ForConditionalGeneration", "M2M100Config", _MT, TRANSLATION, "6,10"),
    ("vit", "ViTForImageClassification", "ViTConfig", _VISION, PICTURES, "3,4,11"),
    ("deit", "DeiTForImageClassification", "DeiTConfig", _VISION, PICTURES, "3,11"),
    ("beit", "BeitForImageClassification", "BeitConfig", {**_VISION, "use_relative_position_bias": True}, PICTURES, "2,4"),
    ("dinov2", "Dinov2ForImageClassification", "Dinov2Config", {**_VISION, "layerscale_value": 1e-5}, PICTURES, "2,5"),
    ("swin", "SwinForImageClassification", "SwinConfig",
     {"image_size": 32, "patch_size": 2, "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4,
      "num_labels": 10},
     PICTURES, "4,6"),
    ("convnext", "ConvNextForImageClassification", "ConvNextConfig",
     {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 2, 1], "patch_size": 2, "num_labels": 10}, PICTURES, "2"),
    ("convnextv2", "ConvNextV2ForImageClassification", "ConvNextV2Config",
     {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 2, 1], "patch_size": 2, "num_labels": 10}, PICTURES, "1"),
    ("resnet", "ResNetForImageClassification", "ResNetConfig",
     {"embedding_size": 16, "hidden_sizes": [16, 32, 48], "depths": [2, 2, 2], "layer_type": "basic", "num_labels": 10},
     PICTURES, "9"),
    ("poolformer", "PoolFormerForImageClassification", "PoolFormerConfig",
     {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 2, 1], "num_labels": 10}, PICTURES, "2"),
    ("segformer", "SegformerForSemanticSegmentation", "SegformerConfig",
     {"hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4], "decoder_hidden_size": 32,
      "num_labels": 2}, SEGMENTS, "4"),
    ("timesformer", "TimesformerForVideoClassification", "TimesformerConfig", {**_VISION, "num_frames": 4}, VIDEOS, "4,11"),
    ("clip", "CLIPModel", "CLIPConfig",
     {"text_config": {**_ENCODER, "eos_token_id": VOCABULARY - 1, "pad_token_id": 1, "bos_token_id": 0},
      "vision_config": {k: v for k, v in _VISION.items() if k != "num_labels"}, "projection_dim": 32}, PAIRS, "3,4,11"),
    ("wav2vec2-ctc", "Wav2Vec2ForCTC", "Wav2Vec2Config", {**_AUDIO, "ctc_loss_reduction": "mean"}, WAVES, "3,5"),
    ("hubert-classifier", "HubertForSequenceClassification", "HubertConfig", {**_AUDIO, "num_labels": 5}, SOUNDS, "3,5"),
    ("whisper", "WhisperForConditionalGeneration", "WhisperConfig",
     {**_MT, "num_mel_bins": 16, "max_source_positions": 32, "max_target_positions": 32, "bos_token_id": 1, "eos_token_id": 2},
     MEL, "3,10,12"),
    ("patchtst", "PatchTSTForPrediction", "PatchTSTConfig",
     {"num_input_channels": 2, "context_length": 32, "prediction_length": 16, "patch_length": 8, "patch_stride": 8,
      "d_model": 32,
      "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64}, FORECAST, "4"),
)  # fmt: skip


def _cases() -> tuple[Case, ...]:
    made = []
    for name, model, config, options, batch, mechanism in _TABLE:
        if not hasattr(transformers, model):
            print(f"skipped: transformers {model} is not installed")
            continue

        def make(model: str = model, config: str = config, options: Mapping[str, Any] = options) -> nn.Module:
            return build(model, config, options)

        made.append(healthy(f"hf-{name}", "transformers", make, batch, OWN_LOSS, mechanism=mechanism))
    return tuple(made)


CASES: tuple[Case, ...] = _cases()
