"""nn.GRU as it comes over 200 steps, read at the last one: it starts with a short memory, but its gates learn to hold."""
# gradcheck-expect: clean

import torch
from torch import nn


class GRUClassifier(nn.Module):
    def __init__(self, vocab: int = 50, dim: int = 16, hidden: int = 24, classes: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.gru = nn.GRU(dim, hidden, batch_first=True)
        self.classifier = nn.Linear(hidden, classes)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        _, h = self.gru(self.embedding(token_ids))
        return self.classifier(h.squeeze(0))


def create_model() -> GRUClassifier:
    return GRUClassifier()


def get_batch(batch_size: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randint(0, 50, (batch_size, 200)), torch.randint(0, 3, (batch_size,))


criterion = nn.CrossEntropyLoss()
