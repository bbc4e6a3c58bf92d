"""Synthetic predictions whose calibration is known."""

import torch


def predictions(images: int, classes: int, seed: int, sharpness: float = 2.0) -> torch.Tensor:
    """Softmax of normal logits, float64."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, generator=generator, dtype=torch.float64)
    return torch.softmax(sharpness * logits, 1)


def labels_drawn_from(p: torch.Tensor, seed: int) -> torch.Tensor:
    """Labels for which `p` is perfectly calibrated."""
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(p, 1, generator=generator).squeeze(1)
