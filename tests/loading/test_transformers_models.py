"""Hugging Face models: batches from their configuration, labels and `.loss`."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("transformers")

SIZES = "hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=50"
MODELS = {
    "BertForSequenceClassification": (f"BertConfig({SIZES}, num_labels=3)", {"input_ids": (4, 16), "labels": (4,)}),
    "BertForTokenClassification": (f"BertConfig({SIZES}, num_labels=3)", {"input_ids": (4, 16), "labels": (4, 16)}),
    "BertForMaskedLM": (f"BertConfig({SIZES})", {"input_ids": (4, 16), "labels": (4, 16)}),
    "BertForMultipleChoice": (f"BertConfig({SIZES})", {"input_ids": (4, 2, 16), "labels": (4,)}),
    "BertForQuestionAnswering": (
        f"BertConfig({SIZES})",
        {"input_ids": (4, 16), "start_positions": (4,), "end_positions": (4,)},
    ),
    "GPT2LMHeadModel": (
        "GPT2Config(n_layer=1, n_embd=16, n_head=2, vocab_size=50, n_positions=8, bos_token_id=0, eos_token_id=0)",
        {"input_ids": (4, 8), "labels": (4, 8)},
    ),
    "T5ForConditionalGeneration": (
        "T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, vocab_size=50, decoder_start_token_id=0)",
        {"input_ids": (4, 16), "labels": (4, 16)},
    ),
    "ViTForImageClassification": (
        f"ViTConfig({SIZES.replace(', vocab_size=50', '')}, image_size=16, patch_size=8)",
        {"pixel_values": (4, 3, 16, 16), "labels": (4,)},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_batch_and_loss_without_data(load_text, name):
    config, shapes = MODELS[name]
    subject = load_text(f"from transformers import {name}, {config.partition(chr(40))[0]}\nmodel = {name}({config})\n")
    assert {key: tuple(value.shape) for key, value in subject.batches[0].kwargs.items()} == shapes
    assert len(subject.batches) == 3
    objective = subject.objectives[0]
    assert (objective.kind, objective.origin) == ("model", "found: output.loss")
    outcome = objective.compute(subject.model, subject.batches[0])
    outcome.loss.backward()
    assert outcome.loss.isfinite()
    assert any("made up from the model's configuration" in sentence for sentence in subject.assumptions)


def test_base_model_is_measured_by_a_projection(load_text):
    subject = load_text(f"from transformers import BertConfig, BertModel\nmodel = BertModel(BertConfig({SIZES}))\n")
    assert subject.objectives[0].kind == "projection"
    assert subject.objectives[0].compute(subject.model, subject.batches[0]).loss.requires_grad


def test_masked_language_labels_are_not_the_inputs(load_text):
    subject = load_text(f"from transformers import BertConfig, BertForMaskedLM\nmodel = BertForMaskedLM(BertConfig({SIZES}))\n")
    batch = subject.batches[0].kwargs
    assert (batch["input_ids"] != batch["labels"]).float().mean() > 0.9


def test_own_loss_is_taken_of_the_logits(load_text):
    subject = load_text(
        "from transformers import BatchEncoding, BertConfig, BertForSequenceClassification\n"
        f"model = BertForSequenceClassification(BertConfig({SIZES}, num_labels=3))\n"
        "batch = {'input_ids': torch.ones(4, 6, dtype=torch.long), 'labels': torch.tensor([0, 1, 2, 0])}\n"
        "loss_fn = nn.CrossEntropyLoss(ignore_index=2)\n"
    )
    assert "labels" not in subject.batches[0].kwargs
    outcome = subject.objectives[0].compute(subject.model, subject.batches[0])
    assert outcome.output.shape == (4, 3)
    assert torch.equal(outcome.target, torch.tensor([0, 1, 2, 0]))
    assert outcome.assumptions == ("the loss is taken of part `logits` of the model's output",)


def test_batch_encoding_of_a_tokenizer(load_text):
    subject = load_text(
        "from transformers import BatchEncoding, BertConfig, BertForSequenceClassification\n"
        f"model = BertForSequenceClassification(BertConfig({SIZES}, num_labels=3))\n"
        "batch = BatchEncoding({'input_ids': torch.ones(4, 6, dtype=torch.long), 'labels': torch.tensor([0, 1, 2, 0])})\n"
    )
    assert set(subject.batches[0].kwargs) == {"input_ids", "labels"}
    assert subject.objectives[0].compute(subject.model, subject.batches[0]).loss.isfinite()


def test_encoder_inside_an_own_class(load_text):
    subject = load_text(
        f"""
        from transformers import BertConfig, BertModel

        class Classifier(nn.Module):
            def __init__(self):
                super().__init__()
                self.bert = BertModel(BertConfig({SIZES}))
                self.head = nn.Linear(16, 4)

            def forward(self, input_ids, attention_mask=None):
                return self.head(self.bert(input_ids, attention_mask=attention_mask).last_hidden_state[:, 0])

        criterion = nn.CrossEntropyLoss()
        """
    )
    assert subject.batches[0].args[0].dtype == torch.int64
    assert int(subject.batches[0].args[0].max()) < 50
    assert subject.objectives[0].compute(subject.model, subject.batches[0]).loss.isfinite()
