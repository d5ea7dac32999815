"""gradcheck: gradient health for PyTorch models."""

__version__ = "0.1.0"
