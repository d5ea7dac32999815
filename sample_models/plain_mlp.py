"""The plain three-layer perceptron that everyone writes first; nothing but the model in the file; healthy."""
# gradcheck-expect: clean

from torch import nn

model = nn.Sequential(
    nn.Linear(20, 64),
    nn.ReLU(),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Linear(64, 5),
)
