"""A tiny BERT from a Hugging Face configuration, with labels in the batch: the model's own `.loss` is used; healthy."""
# gradcheck-expect: clean

import torch
from transformers import BertConfig, BertForSequenceClassification

config = BertConfig(
    vocab_size=200,
    hidden_size=48,
    num_hidden_layers=3,
    num_attention_heads=4,
    intermediate_size=96,
    max_position_embeddings=32,
    num_labels=3,
)
model = BertForSequenceClassification(config)
batch = {
    "input_ids": torch.randint(5, 200, (8, 16)),
    "attention_mask": torch.ones(8, 16, dtype=torch.long),
    "labels": torch.randint(0, 3, (8,)),
}
