"""Scaled dot-product attention, the digital part of a transformer between its projections.

    softmax( Q Kᵀ / √d ) V,   for every head, d its width.

Queries, keys, values and the output are linear maps of tokens and can be analog; what stands here
multiplies activations with activations, which a crossbar of written weights cannot.

Source: Vaswani et al., arXiv:1706.03762.
"""

from torch import nn

from bayespin.cite import cites
from bayespin.shapes import Float, Tensor


class Attention(nn.Module):
    """Attention of several heads, on projected tokens.

    Raises:
        ValueError: fewer than one head.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"Argument `heads` must be at least 1, but is {heads}.")
        self.heads = heads

    @cites("arXiv:1706.03762")
    def forward(
        self,
        queries: Float[Tensor, "images tokens features"],
        keys: Float[Tensor, "images others features"],
        values: Float[Tensor, "images others features"],
    ) -> Float[Tensor, "images tokens features"]:
        """Return what each token takes from the values, heads side by side."""
        q, k, v = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (queries, keys, values)
        )
        shares = (q @ k.transpose(2, 3) * q.shape[-1] ** -0.5).softmax(-1)
        return (shares @ v).transpose(1, 2).flatten(2)
