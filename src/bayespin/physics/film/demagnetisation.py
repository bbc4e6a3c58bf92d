"""The demagnetising field of a film: convolution with Newell's tensor by Fourier transforms."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from scipy import fft

from bayespin.cite import cites
from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics.film.mesh import Mesh
from bayespin.physics.film.newell import AXES, newell_tensor
from bayespin.shapes import Float, Tensor


@cites("10.1029/93JB00694")
def demagnetising_tensor(mesh: Mesh) -> Float[Tensor, "6 offsets_z offsets_y offsets_x"]:
    """Return N between any two cells: offsets −(n − 1) … n − 1 along each axis, in float64.

    H(r) = −∑_r' N(r − r') M(r'), components xx, yy, zz, xy, xz, yz. Entry n − 1 of an axis is the
    offset 0. Negative offsets follow from the parity of each component.

    Symbols: n number of cells along the axis; N dimensionless; M magnetisation and H field (A/m).

    Source: Newell, Williams and Dunlop (1993).
    """
    half = newell_tensor(mesh.cells, mesh.cell)
    components = []
    for (i, j), values in zip(AXES, half, strict=True):
        for axis in range(3):
            dim = 2 - axis
            parity = -1 if i != j and axis in (i, j) else 1
            others = values.narrow(dim, 1, values.shape[dim] - 1).flip(dim)
            values = torch.cat((parity * others, values), dim)
        components.append(values)
    return torch.stack(components)


@dataclass(frozen=True)
class DemagnetisingField:
    """Maps the magnetisation M (A/m) to B = −µ0 N M (T), linearly, for any batch of films.

    Exact up to rounding, 1e-15 µ0 M in float64 and 3e-7 µ0 M in float32: the tensor and its
    transform are computed in float64 and then rounded. Cells without magnet have M = 0 and take
    their field like all others.
    """

    mesh: Mesh
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    @cached_property
    def _axes(self) -> tuple[int, ...]:
        """Axes to transform, the last one real: those of more than one cell, or x."""
        return tuple(d for d in (-3, -2, -1) if self.mesh.shape[d] > 1) or (-1,)

    @cached_property
    def _lengths(self) -> tuple[int, ...]:
        """Padded lengths of the axes: products of small primes, even so that real halves fit."""
        counts = (self.mesh.shape[d] for d in self._axes)
        return tuple(2 * fft.next_fast_len(n, real=True) if n > 1 else 1 for n in counts)

    @cached_property
    def _pairs(self) -> tuple[tuple[int, int, int], ...]:
        """(component, i, j) of the components off the diagonal that are not zero on this mesh."""
        found = [(c, i, j) for c, (i, j) in enumerate(AXES) if i != j]
        return tuple(
            (c, i, j) for c, i, j in found if min(self.mesh.cells[i], self.mesh.cells[j]) > 1
        )

    @cached_property
    def _spectrum(self) -> Float[Tensor, "components z y x 2"]:
        """−µ0 N after the transform, over the number of points that the inverse leaves out.

        Real, because N(−r) = N(r); every number twice, so that the product with the real and
        imaginary parts of M runs through memory without a gap (five times as fast on a CPU).
        """
        tensor = demagnetising_tensor(self.mesh)
        kept = tensor[[0, 1, 2, *(c for c, _, _ in self._pairs)]]
        for dim, length in zip(self._axes, self._lengths, strict=True):
            count = self.mesh.shape[dim]
            missing = list(kept.shape)
            missing[dim] = length - kept.shape[dim]
            kept = torch.cat((kept, kept.new_zeros(missing)), dim).roll(1 - count, dim)
        spectrum = torch.fft.rfftn(kept, dim=self._axes).real
        # What must vanish by symmetry is left by rounding as numbers so small that processors
        # multiply single precision ten times slower.
        rounding = torch.finfo(torch.float64).eps * spectrum.abs().max()
        spectrum = torch.where(spectrum.abs() > rounding, spectrum, 0.0)
        spectrum = spectrum * (-VACUUM_PERMEABILITY / math.prod(self._lengths))
        doubled = spectrum.unsqueeze(-1).expand(*spectrum.shape, 2)
        return doubled.to(self.device, self.dtype).contiguous()

    def __call__(
        self, magnetisation: Float[Tensor, "*batch 3 z y x"]
    ) -> Float[Tensor, "*batch 3 z y x"]:
        """Return B (T) of M (A/m), of the dtype and device of this field."""
        axes, lengths = self._axes, self._lengths
        moments = torch.view_as_real(torch.fft.rfftn(magnetisation, s=lengths, dim=axes))
        product = moments * self._spectrum[:3]
        for number, (_, i, j) in enumerate(self._pairs, start=3):
            values = self._spectrum[number]
            product.select(-5, i).addcmul_(moments.select(-5, j), values)
            product.select(-5, j).addcmul_(moments.select(-5, i), values)
        del moments
        field = torch.view_as_complex(product)
        # Each axis is cut as soon as it is back, so that the next transforms half as many lines.
        for dim in axes[:-1]:
            field = torch.fft.ifft(field, dim=dim, norm="forward")
            field = field.narrow(dim, 0, self.mesh.shape[dim])
        field = torch.fft.irfft(field, n=lengths[-1], dim=axes[-1], norm="forward")
        return field.narrow(axes[-1], 0, self.mesh.shape[axes[-1]])

    def memory_bytes(self, batch: int) -> int:
        """Return about how many bytes a call for `batch` films takes beside its argument.

        The spectrum, and at the worst moment three padded arrays of each film: its transform, the
        product, and one that the transform itself works on.
        """
        *others, last = self._lengths
        bytes_each = 2 * math.prod(others) * (last // 2 + 1) * self.dtype.itemsize
        return bytes_each * (3 + len(self._pairs) + 9 * batch)
