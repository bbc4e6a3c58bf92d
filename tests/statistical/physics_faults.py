"""Planted faults of the dynamics: steps, macrospins, rates, runs, statistics and files."""

import math
from dataclasses import replace

import torch

from bayespin.constants import VACUUM_PERMEABILITY
from bayespin.physics.llg import Components
from bayespin.physics.sampling import Distance
from tests.statistical.faults import Fault, times

NUMERICS, PHYSICS = "bayespin.numerics", "bayespin.physics"


def _euler(_right):
    def step(rate, state, noise, dt, time=0.0):
        return state.add(rate(time, state, noise.mul(1 / math.sqrt(dt))), alpha=dt)

    return step


def _one_pace(right):
    """Gives every element of a batch the shortest step that any of them takes."""

    def next_step(*arguments):
        found = right(*arguments)
        return found[found > 0].amin().expand(len(found))

    return next_step


def _numbered(change):
    """Returns a fault by which `integrate` takes its steps for others."""

    def wrong(right):
        def integrate(step, state, noise, steps, observe=None):
            return right(*change(step, state, noise, steps), observe)

        return integrate

    return wrong


def _terms_with(**changes):
    """Returns a fault that changes the fields of a macrospin."""

    def wrong(right):
        def terms(*arguments):
            found = right(*arguments)
            return replace(
                found, **{name: new(getattr(found, name)) for name, new in changes.items()}
            )

        return terms

    return wrong


def _one_sign(right):
    def vector_product(a, b):
        x, y, _ = right(a, b)
        return Components(x, y, a.x * b.y + a.y * b.x)

    return vector_product


def _first_order_diffusion(right):
    """Gives the rotation vectors the variance s² itself."""

    def diffused(m, noise, spread):
        return right(m, noise, (2 * spread) / (1 + (1 + 3 * spread).sqrt()))

    return diffused


def _swapped_efficiency(right):
    def asymmetric(torque, m, p, amplitude):
        return right(torque, m, p.mul(-1.0), -amplitude)

    return asymmetric


def _anisotropy_twice(right):
    def energy(parameters, magnetisation, time=0.0):
        doubled = replace(
            parameters,
            effective_anisotropy=2 * parameters.effective_anisotropy,
            in_plane_anisotropy=2 * parameters.in_plane_anisotropy,
        )
        return right(doubled, magnetisation, time)

    return energy


def _every_record(_right):
    return lambda series: (series, len(series))


def _one_sided(_right):
    def ks_distance(series, law, effective_samples):
        values = series.double().flatten().sort().values
        ranks = torch.arange(1, len(values) + 1, dtype=torch.float64) / len(values)
        above, below = ranks - law(values), law(values) - ranks + 1 / len(values)
        value = torch.minimum(above.max(), below.max())
        resolution = 1.36 / effective_samples.sqrt()
        return Distance(value=value, resolution=resolution, effective_samples=effective_samples)

    return ks_distance


def _error_of_the_mean(right):
    def shape_estimates(series):
        mean, *others = right(series)
        error = mean.standard_error / mean.value.new_tensor(1.0)
        return mean, *(replace(other, standard_error=error) for other in others)

    return shape_estimates


def _one_step_early(right):
    def extend(system, found, *rest):
        schedule = replace(found.schedule, steps=found.schedule.steps - 1)
        return right(system, replace(found, schedule=schedule), *rest)

    return extend


def _z_fastest(right):
    def cells(snapshot):
        found = right.fget(snapshot)
        return found.permute(2, 1, 0, 3).contiguous().reshape(found.shape)

    return property(cells)


def _axes_swapped(right):
    def ellipsoid_stiffness(field, moment, factors, *rest):
        return right(field, moment, (factors[2], *factors[:2]), *rest)

    return ellipsoid_stiffness


STEPS = (
    Fault("Euler in place of Heun", f"{NUMERICS}.stochastic:heun_step", _euler),
    Fault("Euler in place of Runge-Kutta", f"{NUMERICS}.stochastic:frozen_rk4_step", _euler),
    Fault(
        "a step read one step too late",
        f"{NUMERICS}.stochastic:integrate",
        _numbered(
            lambda step, m, noise, steps: (lambda i, *rest: step(i + 1, *rest), m, noise, steps)
        ),
    ),
    Fault(
        "a resumed run begins at step 0",
        f"{NUMERICS}.stochastic:integrate",
        _numbered(lambda step, m, noise, steps: (step, m, noise, range(len(steps)))),
    ),
    Fault(
        "one step too many",
        f"{NUMERICS}.stochastic:integrate",
        _numbered(
            lambda step, m, noise, steps: (step, m, noise, range(steps.start, steps.stop + 1))
        ),
    ),
    Fault(
        "blocks share a stream",
        f"{NUMERICS}.stochastic:keyed_block_noise",
        lambda right: (
            lambda key, like, block, axis, first_block=0: (
                lambda i: torch.cat(
                    [right(key, part, block, axis)(i) for part in like.split(block, axis)], axis
                )
            )
        ),
    ),
    Fault(
        "fifth-order weights lost",
        f"{NUMERICS}.dormand_prince:_STAGES",
        lambda right: (*right[:-1], (35 / 384 + 500 / 1113, 0.0, 0.0, *right[-1][3:])),
    ),
    Fault(
        "adaptive error a thousandth",
        f"{NUMERICS}.dormand_prince:_attempt",
        lambda right: lambda *arguments: (*(found := right(*arguments))[:2], found[2] / 1000),
    ),
    Fault(
        "adaptive error of fourth order",
        f"{NUMERICS}.dormand_prince:_attempt",
        lambda right: lambda *arguments: (*(found := right(*arguments))[:2], found[2] ** 0.8),
    ),
    Fault(
        "one adaptive step for the batch",
        f"{NUMERICS}.dormand_prince:_next_step",
        _one_pace,
    ),
)

MACROSPINS = (
    Fault(
        "1 + α² missing",
        f"{PHYSICS}.llg:gyration_rate",
        lambda right: lambda damping: right(0 * damping),
    ),
    Fault(
        "γµ0 for γ",
        "bayespin.constants:GYROMAGNETIC_RATIO",
        lambda right: VACUUM_PERMEABILITY * right,
    ),
    Fault(
        "damping of the wrong sign",
        f"{PHYSICS}.llg:damped_turning",
        lambda right: lambda m, rate, damping: right(m, rate, -damping),
    ),
    Fault("one sign of the vector product", f"{PHYSICS}.llg:vector_product", _one_sign),
    Fault("no renormalisation", f"{PHYSICS}.llg:unit", lambda right: lambda vectors, axis: vectors),
    Fault(
        "rotation by twice the angle",
        f"{PHYSICS}.llg:rotated",
        lambda right: lambda m, half: right(right(m, half), half),
    ),
    Fault("diffusion of first order", f"{PHYSICS}.llg:diffused", _first_order_diffusion),
    Fault("thermal field x1.04", f"{PHYSICS}.llg:thermal_field_std", times(1.04)),
    Fault("thermal field x√2", f"{PHYSICS}.llg:thermal_field_std", times(math.sqrt(2))),
    Fault("stable step x1.03", f"{PHYSICS}.llg:largest_stable_step", times(1.03)),
    Fault(
        "anisotropy field K/M",
        f"{PHYSICS}.macrospin:_terms",
        _terms_with(along=lambda right: lambda time: right(time) / 2),
    ),
    Fault(
        "every point at the first temperature",
        f"{PHYSICS}.macrospin:_terms",
        _terms_with(thermal=lambda right: right[:1] if right.ndim else right),
    ),
    Fault("energy counts anisotropy twice", f"{PHYSICS}.macrospin:energy", _anisotropy_twice),
    Fault(
        "start from half the barrier",
        f"{PHYSICS}.macrospin:_distribution",
        lambda right: (
            lambda parameters, anisotropy, nodes: right(parameters, anisotropy / 2, nodes)
        ),
    ),
    Fault(
        "status looks at m_z alone",
        f"{PHYSICS}.macrospin:status",
        lambda right: lambda m: right(m.narrow(-2, 2, 1).expand_as(m)),
    ),
    Fault(
        "spin torque of the wrong sign",
        f"{PHYSICS}.spin_torque:SpinTorque.field_components",
        lambda right: lambda *arguments: right(*arguments).mul(-1.0),
    ),
    Fault(
        "efficiency of the other polarisation",
        f"{PHYSICS}.spin_torque:SpinTorque._asymmetric",
        _swapped_efficiency,
    ),
    Fault("ħ for ħ/2", f"{PHYSICS}.spin_torque:spin_hall_field", times(2)),
    Fault(
        "a pulse ends before its fall",
        f"{PHYSICS}.drive:_trapezium",
        lambda right: lambda time, width, rise: right(time, width - rise / 2, rise),
    ),
)

RATES = (
    Fault(
        "Kittel with factors of other axes",
        f"{PHYSICS}.resonance:ellipsoid_stiffness",
        _axes_swapped,
    ),
    Fault(
        "linewidth without 1 + α²",
        f"{PHYSICS}.resonance:decay_rate",
        lambda right: lambda stiffness, damping: right(stiffness, damping) * (1 + damping**2),
    ),
    Fault("rate of both wells", f"{PHYSICS}.switching:neel_brown_rate", times(2)),
    Fault(
        "prefactor of a well without field",
        f"{PHYSICS}.switching:neel_brown_rate",
        lambda right: lambda barrier, h=0.0: right(barrier, h) / (1 + h),
    ),
    Fault("rate of one well", f"{PHYSICS}.relaxation:fokker_planck_rate", times(0.5)),
    Fault(
        "correlation ignored",
        f"{PHYSICS}.relaxation:effective_samples",
        lambda _right: lambda samples, correlation: samples + 0 * correlation,
    ),
)

RUNS = (
    Fault("every record a batch", f"{PHYSICS}.sampling:_batched", _every_record),
    Fault(
        "errors of shapes as of the mean", f"{PHYSICS}.sampling:shape_estimates", _error_of_the_mean
    ),
    Fault("distance on one side", f"{PHYSICS}.sampling:ks_distance", _one_sided),
    Fault(
        "window of one step",
        f"{NUMERICS}.statistics:window_lag",
        lambda _right: lambda *arguments: 1,
    ),
    Fault(
        "pairs counted as records",
        f"{NUMERICS}.statistics:pooled_autocovariance",
        lambda right: lambda series: right(series) * torch.arange(len(series), 0, -1) / len(series),
    ),
    Fault(
        "status ignored in averages",
        f"{PHYSICS}.ensemble:Trajectories.sound",
        lambda _right: property(lambda found: torch.ones_like(found.status).bool()),
    ),
    Fault("resumed one step early", f"{PHYSICS}.ensemble:extend", _one_step_early),
    Fault(
        "law of half the barrier",
        f"{PHYSICS}.characterisation:boltzmann_law",
        lambda right: lambda barrier: right(barrier / 2),
    ),
    Fault("z fastest in files", f"{PHYSICS}.files.snapshot:Snapshot.cells", _z_fastest),
    Fault(
        "cells at their corners",
        f"{PHYSICS}.film.mesh:Mesh.centres",
        lambda right: lambda mesh, axis: right(mesh, axis) - mesh.cell[axis] / 2,
    ),
)

PHYSICS_FAULTS = (*STEPS, *MACROSPINS, *RATES, *RUNS)
