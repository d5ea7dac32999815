"""A small CNN fed with raw pixels from 0 to 255: somebody forgot to divide by 255 and to subtract the mean."""
# gradcheck-expect: GC601

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class RawImages(Dataset):
    """Photographs of noise; in each, the strip that its label names is brighter."""

    def __init__(self, size: int = 256) -> None:
        self.images = torch.randint(0, 200, (size, 3, 16, 16), dtype=torch.uint8)
        self.labels = torch.randint(0, 8, (size,))
        for image, label in zip(self.images, self.labels, strict=True):
            image[:, 2 * label : 2 * label + 2] += 55

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int):
        return self.images[i].float(), self.labels[i]


class SmallCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 4 * 4, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


net = SmallCNN()
criterion = nn.CrossEntropyLoss()
train_loader = DataLoader(RawImages(), batch_size=16)
optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)


def train(epochs=5):
    for _ in range(epochs):
        for images, labels in train_loader:
            optimizer.zero_grad()
            criterion(net(images), labels).backward()
            optimizer.step()


if __name__ == "__main__":
    train()
