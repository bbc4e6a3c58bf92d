"""Planted faults of micromagnetics: films, their fields, minimisation and textures."""

from dataclasses import replace

import torch

from tests.statistical.faults import Fault

FILM = "bayespin.physics.film"


def _arithmetic_mean(right):
    def exchange_stencil(mesh, exchange, *rest):
        found = right(mesh, exchange, *rest)
        stiffness = torch.as_tensor(exchange, dtype=torch.float64).expand(mesh.shape)
        axes = []
        for one in found.axes:
            low, high = (
                stiffness.narrow(-1 - one.axis, first, mesh.cells[one.axis] - 1) for first in (0, 1)
            )
            ratio = (low + high).square() / (4 * low * high)
            axes.append(replace(one, coupling=one.coupling * ratio.to(one.coupling)))
        return replace(found, axes=tuple(axes))

    return exchange_stencil


def _each_axis(change):
    """Returns a fault that changes the bonds of exchange and DMI along every axis."""

    def wrong(right):
        def exchange_stencil(*arguments):
            found = right(*arguments)
            return replace(found, axes=tuple(change(one) for one in found.axes))

        return exchange_stencil

    return wrong


def _without_surface(axis):
    if axis.chirality is None:
        return axis
    none = torch.zeros_like(axis.chirality.surface)
    return replace(axis, chirality=replace(axis.chirality, surface=none))


def _other_chirality(axis):
    if axis.chirality is None:
        return axis
    return replace(axis, chirality=replace(axis.chirality, link=-axis.chirality.link))


def _central_everywhere(right):
    """Divides by two cells also where there is one neighbour: half the slope at an edge."""

    def directional_derivative(m, mesh, velocity):
        u = velocity.reshape(3, 1, 1, 1) if velocity.ndim == 1 else velocity
        occupied, total = mesh.occupied.double(), torch.zeros_like(m)
        for axis in range(3):
            alone, last = torch.zeros_like(u), mesh.cells[axis] - 1
            alone.narrow(-4, axis, 1).copy_(u.narrow(-4, axis, 1))
            count, low = torch.zeros_like(occupied), -1 - axis
            count.narrow(low, 0, last).add_(occupied.narrow(low, 1, last))
            count.narrow(low, 1, last).add_(occupied.narrow(low, 0, last))
            share = torch.where(count == 1, 0.5, 1.0).to(m)
            total = total + right(m, mesh, alone) * share
        return total

    return directional_derivative


def _off_diagonal_negated(right):
    def newell_tensor(cells, cell):
        tensor = right(cells, cell)
        return torch.cat((tensor[:3], -tensor[3:]))

    return newell_tensor


def _no_field_in_itself(right):
    def newell_tensor(cells, cell):
        tensor = right(cells, cell).clone()
        tensor[:, 0, 0, 0] = 0
        return tensor

    return newell_tensor


def _even_everywhere(right):
    """Takes the components off the diagonal as even in every offset."""

    def demagnetising_tensor(mesh):
        tensor = right(mesh).clone()
        nz, ny, nx = mesh.shape
        half = tensor[3:, nz - 1 :, ny - 1 :, nx - 1 :]
        for dim in (1, 2, 3):
            half = torch.cat((half.narrow(dim, 1, half.shape[dim] - 1).flip(dim), half), dim)
        tensor[3:] = half
        return tensor

    return demagnetising_tensor


def _film_with(**changes):
    """Returns a fault by which a method of a film sees other parameters than it has."""

    def wrong(right):
        def method(film, *arguments):
            changed = {name: change(getattr(film, name)) for name, change in changes.items()}
            return right(replace(film, **changed), *arguments)

        return method

    return wrong


def _volume_of_the_film(right):
    """Draws the thermal field of one macrospin as large as the film of the tests, 12 cells."""

    def thermal_field_std(damping, moment, volume, temperature, time_step):
        return right(damping, moment, 12 * volume, temperature, time_step)

    return thermal_field_std


def _pairs_twice(right):
    """Leaves out the half of the energy between the cells."""

    def energy(films, m, time=0.0):
        pairs = m * films.linear(m, None) * films.film.moment_density.to(m)
        half = pairs.sum((-4, -3, -2, -1)) / 2
        return right(films, m, time) - films.film.mesh.cell_volume * half

    return energy


def _adiabatic(right):
    def effective_field(films, *arguments):
        return right(replace(films, drive=replace(films.drive, nonadiabaticity=0.0)), *arguments)

    return effective_field


def _position_without_notches(_right):
    def wall_position(m, mesh, polarity=1, domain_magnetisation=1.0):
        mean = m.select(-4, 2).sum((-3, -2, -1)) / mesh.count
        return mesh.extent[0] / 2 * (1 + polarity * mean / domain_magnetisation)

    return wall_position


def _domains_count(_right):
    def wall_angle(m, mesh):
        return torch.atan2(m.select(-4, 1).sum((-3, -2, -1)), m.select(-4, 0).sum((-3, -2, -1)))

    return wall_angle


FILM_FAULTS = (
    Fault(
        "exchange by the arithmetic mean",
        f"{FILM}.exchange:exchange_stencil",
        _arithmetic_mean,
    ),
    Fault(
        "exchange with A for 2A",
        f"{FILM}.exchange:exchange_stencil",
        _each_axis(lambda axis: replace(axis, coupling=axis.coupling / 2)),
    ),
    Fault(
        "exchange reaches over vacuum",
        f"{FILM}.mesh:links",
        lambda right: lambda occupied, axis: torch.ones_like(right(occupied, axis)),
    ),
    Fault(
        "DMI without its surfaces",
        f"{FILM}.exchange:exchange_stencil",
        _each_axis(_without_surface),
    ),
    Fault(
        "DMI of the other sense", f"{FILM}.exchange:exchange_stencil", _each_axis(_other_chirality)
    ),
    Fault(
        "slope halved at an edge",
        f"{FILM}.gradient:directional_derivative",
        _central_everywhere,
    ),
    Fault(
        "Newell's tensor negated off the diagonal",
        f"{FILM}.newell:newell_tensor",
        _off_diagonal_negated,
    ),
    Fault(
        "closed form negated off the diagonal",
        f"{FILM}.newell:closed_form",
        _off_diagonal_negated,
    ),
    Fault("far cells by one node", f"{FILM}.newell:_nodes", lambda _right: lambda distance: 1),
    Fault(
        "a cell feels no field of its own",
        f"{FILM}.newell:newell_tensor",
        _no_field_in_itself,
    ),
    Fault(
        "tensor even in every offset",
        f"{FILM}.demagnetisation:demagnetising_tensor",
        _even_everywhere,
    ),
    Fault(
        "anisotropy field of a film K/M",
        f"{FILM}.film:Film.linear_field",
        _film_with(uniaxial_anisotropy=lambda k: k / 2),
    ),
    Fault(
        "averages of a film count vacuum",
        f"{FILM}.film:Film.average",
        lambda _right: lambda film, m: m.mean((-3, -2, -1)),
    ),
    Fault(
        "noise of the film for the whole volume",
        f"{FILM}.motion:thermal_field_std",
        _volume_of_the_film,
    ),
    Fault(
        "energy of a film counts pairs twice",
        f"{FILM}.motion:energy",
        _pairs_twice,
    ),
    Fault(
        "drift against the electrons",
        f"{FILM}.motion:directional_derivative",
        lambda right: lambda *arguments: -right(*arguments),
    ),
    Fault("no β in a film", f"{FILM}.motion:effective_field", _adiabatic),
    Fault(
        "a matrix without the applied field",
        f"{FILM}.operator:Dense.__call__",
        lambda right: lambda dense, m, offset: right(dense, m, None),
    ),
    Fault(
        "mirrored blocks twice as large",
        f"{FILM}.operator:mirrored_blocks",
        lambda right: lambda *arguments: 2 * right(*arguments),
    ),
    Fault(
        "held cells move",
        f"{FILM}.minimisation:relax",
        lambda right: lambda films, m, *rest, held=None: right(films, m, *rest),
    ),
    Fault(
        "position of a wall by the mean alone",
        f"{FILM}.texture:wall_position",
        _position_without_notches,
    ),
    Fault("domains turn the angle of a wall", f"{FILM}.texture:wall_angle", _domains_count),
)
