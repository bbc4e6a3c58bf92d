"""A layer's linear map, tile by tile: how a crossbar's matrices meet its inputs.

A dense layer multiplies each tile's rows alone; any other product applies one weight tensor in
which the tiles' outputs stand one below the other, zero outside their own rows.
"""

import torch

from bayespin.array.crossbar import RowTiles
from bayespin.nn.product import Dense, Product
from bayespin.shapes import Float, Tensor


class Tiling:
    """A product cut into tiles of at most `tile_rows` rows."""

    def __init__(self, product: Product, tile_rows: int) -> None:
        self.product, self.rows = product, RowTiles(product.rows, tile_rows)

    def lay_out(self, matrix: Float[Tensor, "rows columns"]) -> Tensor:
        """Return a crossbar's matrix as the weights that `apply` takes."""
        if isinstance(self.product, Dense):
            return self.rows.lay_out(matrix)
        masks = self.rows.masks.to(matrix.device)
        stacked = masks[:, None, :] * matrix.T[None]
        return stacked.reshape(-1, *self.product.weight_shape[1:])

    def apply(self, x: Tensor, weights: Tensor) -> Float[Tensor, "tiles images outputs *positions"]:
        """Return each tile's outputs.

        Args:
            x: inputs, as the product takes them; (images, rows) for a dense layer.
            weights: from `lay_out`.
        """
        if isinstance(self.product, Dense):
            return self.rows.apply(x, weights)
        return self.product.apply(x, weights).unflatten(1, (self.rows.tiles, -1)).movedim(1, 0)

    def per_output(self, values: Float[Tensor, "tiles outputs"]) -> Tensor:
        """Return values shaped to broadcast against what `apply` returns."""
        return torch.stack([self.product.per_output(v) for v in values])[:, None]
