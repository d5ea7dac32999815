"""Image, token and number inputs with their label in one dictionary that a DataLoader makes; healthy."""
# gradcheck-expect: clean
# gradcheck-expect-not: GC401

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Listings(Dataset):
    def __len__(self):
        return 48

    def __getitem__(self, i):
        generator = torch.Generator().manual_seed(i)
        return {
            "image": torch.randn(3, 16, 16, generator=generator),
            "input_ids": torch.randint(1, 100, (10,), generator=generator),
            "numbers": torch.randn(5, generator=generator),
            "label": i % 3,
        }


class ListingClassifier(nn.Module):
    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.image_encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, dim, 3, stride=2, padding=1),
            nn.BatchNorm2d(dim),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.embedding = nn.EmbeddingBag(100, dim, mode="mean")
        self.number_encoder = nn.Sequential(nn.Linear(5, dim), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(3 * dim, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, image, input_ids, numbers):
        parts = [self.image_encoder(image), self.embedding(input_ids), self.number_encoder(numbers)]
        return self.head(torch.cat(parts, dim=1))


model = ListingClassifier()
criterion = nn.CrossEntropyLoss()
train_loader = DataLoader(Listings(), batch_size=16)
