"""Array types for signatures, in jaxtyping form (`Float[Tensor, "*batch 3"]`).

The annotations are checked only under pytest; in production they cost nothing.
"""

from jaxtyping import Bool, Float, Int, Num
from torch import Tensor

__all__ = ["Bool", "Float", "Int", "Num", "Tensor"]
