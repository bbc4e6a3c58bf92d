"""A layer's linear map, tile by tile: how a crossbar's matrices meet its inputs.

A dense layer multiplies each tile's rows alone; any other product applies one weight tensor in
which the tiles' outputs stand one below the other, zero outside their own rows.
"""

import torch

from bayespin.array.tiles import ArrayLayout
from bayespin.nn.product import Dense, Product
from bayespin.shapes import Float, Tensor


class Tiling:
    """A product cut into tiles."""

    def __init__(self, product: Product, layout: ArrayLayout) -> None:
        self.product = product
        self.grid = layout.grid(product.rows, product.outputs, product.groups)

    def lay_out(self, matrix: Float[Tensor, "rows columns"]) -> Tensor:
        """Return a crossbar's matrix as the weights that `apply` takes."""
        if isinstance(self.product, Dense):
            return self.grid.rows.lay_out(matrix)
        masks = self.grid.rows.masks.to(matrix.device)
        stacked = masks[:, None, :] * self._all_groups(matrix).T[None]
        return stacked.reshape(-1, *self.product.weight_shape[1:])

    def gather(self, weights: Tensor) -> Tensor:
        """Return, of the product's weight shape, what `lay_out` made weights of."""
        product = self.product
        if isinstance(product, Dense):
            return weights.flatten(0, 1)[: product.rows].T
        return weights.unflatten(0, (self.grid.rows.tiles, -1)).sum(0)

    def _all_groups(self, matrix: Tensor) -> Tensor:
        """Return a column that all outputs share once for each group."""
        return matrix.expand(-1, self.product.groups) if matrix.shape[1] == 1 else matrix

    def apply(self, x: Tensor, weights: Tensor) -> Float[Tensor, "tiles images outputs *positions"]:
        """Return each tile's outputs.

        Args:
            x: inputs, as the product takes them; (images, rows) for a dense layer.
            weights: from `lay_out`.
        """
        tiles = self.grid.rows.tiles
        if isinstance(self.product, Dense):
            return self.grid.rows.apply(x, weights)
        outputs = len(weights) // tiles
        if outputs == self.product.outputs:
            y = self.product.apply(x, weights)
        else:  # a column that the outputs of a group share
            y = self.product.one_output().apply(x, weights)
            if self.product.groups > 1:
                y = y.repeat_interleave(self.product.outputs // self.product.groups, 1)
        return y.unflatten(1, (tiles, -1)).movedim(1, 0)

    def outer(self, rows: Tensor, cells: Tensor) -> Tensor:
        """Return, laid out, r_i Σ_k c_kj of laid-out rows r (one column) and cells c."""
        if isinstance(self.product, Dense):
            return self.grid.rows.outer(rows, cells)
        sums = cells.flatten(1).sum(1).view(-1, *[1] * (cells.ndim - 1))
        return rows.repeat_interleave(len(cells) // len(rows), 0) * sums

    def per_output(self, values: Float[Tensor, "tiles outputs"]) -> Tensor:
        """Return values shaped to broadcast against what `apply` returns."""
        return torch.stack([self.product.per_output(v) for v in values])[:, None]
