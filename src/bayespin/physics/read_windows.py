"""Macrospins that integrate what a read integrates: boxcar averages of any length from one run.

Beside m the state carries I = ∫u dt in time steps, and for every window the I of the moment at
which a window that ends with a record begins, to a fraction of a step. A window average is then a
difference of two records, however many records lie between.
"""

import math
from dataclasses import dataclass

import torch

from bayespin.numerics.stochastic import StepNoise, frozen_rk4_step, keyed_step_noise
from bayespin.physics import macrospin
from bayespin.physics.ensemble import Trajectories
from bayespin.physics.macrospin import Macrospins
from bayespin.physics.systems import Recorded
from bayespin.rng import Key
from bayespin.shapes import Float, Tensor


def _beginning(length: float, every: int) -> tuple[int, int, float]:
    """Return how many records before its last one a window of `length` steps begins.

    Then the step after that record, and the fraction of this step.
    """
    records = math.ceil(length / every - 1e-9)
    begin = max(records * every - length, 0.0)
    step = min(math.floor(begin), every - 1)
    return records, step, begin - step


class _Integrator:
    """The rows of the state behind m, brought up to date after every step."""

    def __init__(self, reads: "ReadEnsemble", state: Tensor) -> None:
        self._reads, self._u = reads, state[..., reads.component, :]
        self.rows = state[..., 3:, :].clone()
        every = reads.record_every
        self._marks = [_beginning(window / reads.time_step, every)[1:] for window in reads.windows]

    def see(self, index: int, m: Tensor) -> None:
        """Add the step with this index, which ended at m, by the trapezoidal rule."""
        before, after = self._u, m[..., self._reads.component, :]
        total = self.rows[..., 0, :]
        phase = (index - self._reads.discard) % self._reads.record_every
        for place, (step, fraction) in enumerate(self._marks):
            if step == phase:
                part = before * (fraction - fraction**2 / 2) + after * (fraction**2 / 2)
                self.rows[..., 1 + place, :] = total + part
        total.add_(before, alpha=0.5).add_(after, alpha=0.5)
        self._u = after


@dataclass(frozen=True, kw_only=True)
class ReadEnsemble:
    """Macrospins and their reads, (*points, 4 + windows, replicas): m, I, I at the marks."""

    parameters: Macrospins
    component: int
    """The component of m that is u."""
    windows: tuple[float, ...]
    """s."""
    record_every: int
    """Steps between records, as in the schedule."""
    discard: int = 0
    """Steps before the first record, as in the schedule."""
    method: macrospin.Scheme = frozen_rk4_step
    replica_axis: int = -1

    @property
    def time_step(self) -> float:
        """Length of a step, s."""
        return self.parameters.time_step

    def initial(self, replicas: int, key: Key) -> Float[Tensor, "*points rows replicas"]:
        """Return magnetisations of Boltzmann's law of the anisotropy alone, and empty integrals."""
        m = macrospin.init(self.parameters, replicas, key.generator()).float()
        rows = m.new_zeros(*m.shape[:-2], 1 + len(self.windows), replicas)
        return torch.cat((m, rows), -2)

    def noise(self, key: Key, state: Float[Tensor, "*points rows replicas"]) -> StepNoise:
        """Return keyed noise of the shape of m."""
        return keyed_step_noise(key, state[..., :3, :])

    def advance(
        self, state: Float[Tensor, "*points rows replicas"], noise: StepNoise, steps: range
    ) -> Float[Tensor, "*points rows replicas"]:
        """Return the state after the steps."""
        integrator = _Integrator(self, state)
        m = macrospin.simulate(
            self.parameters, state[..., :3, :], noise, steps, integrator.see, self.method
        )
        return torch.cat((m, integrator.rows), -2)

    def observables(self, state: Float[Tensor, "*points rows replicas"], time: float) -> Recorded:
        """Return u, I, and I at the mark of every window."""
        found = {"u": state[..., self.component, :], "integral": state[..., 3, :]}
        for place in range(len(self.windows)):
            found[f"mark {place}"] = state[..., 4 + place, :]
        return found


def window_averages(
    found: Trajectories, window: float, place: int
) -> Float[Tensor, " reads *points replicas"]:
    """Return the averages of u over one window each, ending at every record that has room for it.

    Neighbours overlap where the window is longer than the record interval: errors must come from
    replicas. The trapezoidal rule takes (ωΔt)²/12 from the average of a precession.

    Symbols: `window` (s), number `place` of the ensemble's windows.

    Raises:
        ValueError: no window fits between the first record and the last.
    """
    length = window / found.time_step
    back, _, _ = _beginning(length, found.schedule.record_every)
    integral, marks = found.series["integral"], found.series[f"mark {place}"]
    if back >= len(integral):
        raise ValueError(
            f"`windows` must fit into the {float(found.times[-1] - found.times[0]):.3g} s that are "
            f"recorded, but one is {window:g} s; take a longer run."
        )
    return (integral[back:] - marks[1 : len(marks) - back + 1]) / length


def record_averages(
    series: Float[Tensor, " time *batch"], interval: float, window: float
) -> Float[Tensor, " reads *batch"]:
    """Return the averages of records over one window each, ending at every record with room for it.

    u runs straight from record to record, so that a window need not be a whole number of them.

    Symbols: `interval` between records (s); `window` (s).

    Raises:
        ValueError: the window is longer than the series.
    """
    length = window / interval
    back, step, fraction = _beginning(length, 1)
    if back >= len(series):
        raise ValueError(
            f"`windows` must fit into the {(len(series) - 1) * interval:.3g} s that are recorded, "
            f"but one is {window:g} s; take a longer run."
        )
    values = series.double()
    areas = torch.cat((torch.zeros_like(values[:1]), ((values[1:] + values[:-1]) / 2).cumsum(0)))
    ahead = (step + fraction) - (step + fraction) ** 2 / 2
    part = values[:-1] * ahead + values[1:] * (step + fraction) ** 2 / 2
    begin = areas[:-1] + part
    return (areas[back:] - begin[: len(areas) - back]) / length
