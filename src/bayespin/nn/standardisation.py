"""Inputs of mean zero and unit variance: a digital stage before the first layer.

Dark pixels are then inputs too, of the other sign, and strange images differ in all of them. On a
chip the first layer reads inputs of either sign one after the other.
"""

import torch
from torch import nn

from bayespin.shapes import Float, Tensor


class Standardise(nn.Module):
    """(x − mean) / deviation, with one number each for all inputs.

    Raises:
        ValueError: values that are not finite, or a deviation that is not positive.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: float = 0.0, deviation: float = 1.0) -> None:
        super().__init__()
        if not (abs(mean) < float("inf") and 0 < deviation < float("inf")):
            raise ValueError(
                f"Arguments `mean` and `deviation` must be finite, the second positive, but are "
                f"{mean} and {deviation}."
            )
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("deviation", torch.tensor(deviation))

    @classmethod
    def like(cls, x: Float[Tensor, "..."]) -> "Standardise":
        """Return the stage that standardises x.

        Raises:
            ValueError: x all alike, or not finite.
        """
        return cls(float(x.double().mean()), float(x.double().std()))

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Return x standardised."""
        return (x - self.mean) / self.deviation
