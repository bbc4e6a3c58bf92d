"""The derivative of the magnetisation along a direction, as spin-polarised currents feel it."""

import torch

from bayespin.physics.film.mesh import Mesh, links
from bayespin.shapes import Float, Tensor


def directional_derivative(
    m: Float[Tensor, "*batch 3 z y x"], mesh: Mesh, velocity: Float[Tensor, "..."]
) -> Float[Tensor, "*batch 3 z y x"]:
    """Return (u·∇)m = ∑_a u_a ∂m/∂a, in 1/s for u in m/s.

    ∂m/∂a is the mean of the differences to the magnetic neighbours, (m_{i+1} − m_{i−1})/2d with
    both, (m_{i+1} − m_i)/d or (m_i − m_{i−1})/d beside vacuum or the end of the mesh, zero with
    none: of second order inside, of first order at surfaces.

    Symbols: u `velocity`, (3,) for one vector, or components on the axis −4 with any shape that
    broadcasts over m; d size of a cell along a (m). Zero in vacuum.
    """
    u = velocity.reshape(3, 1, 1, 1) if velocity.ndim == 1 else velocity
    occupied = torch.ones(mesh.shape, dtype=torch.bool, device=m.device)
    if mesh.mask is not None:
        occupied = mesh.mask.to(m.device)
    total = torch.zeros_like(m)
    for axis in (axis for axis, count in enumerate(mesh.cells) if count > 1):
        dim, last = -1 - axis, mesh.cells[axis] - 1
        linked = links(occupied, axis).to(m.dtype)
        neighbours = torch.zeros(mesh.shape, dtype=m.dtype, device=m.device)
        neighbours.narrow(dim, 0, last).add_(linked)
        neighbours.narrow(dim, 1, last).add_(linked)
        slope = m.diff(dim=dim).mul_(linked)
        summed = torch.zeros_like(m)
        summed.narrow(dim, 0, last).add_(slope)
        summed.narrow(dim, 1, last).add_(slope)
        share = 1 / (mesh.cell[axis] * neighbours.clamp_(min=1))
        total = total + summed * (u.narrow(-4, axis, 1) * share)
    return total
