"""Macrospin ensembles in one fused kernel on CUDA: many steps per launch, noise made in registers.

The plain torch form, `macrospin.simulate` with the same `CounterNoise`, gives the same path to
rounding, and is its test. Triton is needed only when a run begins.
"""

import contextlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType

import torch

from bayespin.cite import cites
from bayespin.physics import macrospin
from bayespin.physics.drive import Driven, at
from bayespin.physics.llg import gyration_rate, thermal_field_std
from bayespin.physics.macrospin import AXIS, Macrospins
from bayespin.rng import CounterNoise
from bayespin.shapes import Float, Tensor

STEPS_PER_LAUNCH = 8192
"""Enough to hide the cost of a launch, few enough that an interrupt is heard at once."""
TABLE_NUMBERS = 2**22
"""Numbers that the table of a driven launch may hold."""
FILLED = 2**17
"""Macrospins from which a GPU is full, so that two lanes per thread take nothing from others."""

PROBES = ((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (2 / 7, 3 / 7, 6 / 7))
"""Magnetisations that tell a field: none, along x, along z, and a mixture that must fit them."""


def available(device: torch.device) -> bool:
    """Return whether the fused kernel runs on this device: CUDA, with Triton installed."""
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


@dataclass(frozen=True)
class Form:
    """How macrospins are laid out: `lanes` of them in one program of `warps` times 32 threads."""

    lanes: int
    warps: int

    @classmethod
    def fitting(cls, macrospins: int) -> "Form":
        """Return the form for so many macrospins: few spread over all processors first."""
        return cls(256, 4) if macrospins >= FILLED else cls(32, 1)


@cites("10.1103/PhysRev.130.1677", "10.1145/2063384.2063405")
def simulate(
    parameters: Macrospins,
    magnetisation: Float[Tensor, "*points 3 replicas"],
    noise: CounterNoise,
    steps: range,
    every: int | None = None,
    form: Form | None = None,
) -> Float[Tensor, "records *points 3 replicas"]:
    """Return the magnetisation after each `every` of the steps, or after the last one alone.

    Heun with the thermal field as in `macrospin.step`, for any field that is linear in m, driven
    in time or not. The last record is the state after the run, from which another one goes on: any
    split of the steps gives the same numbers. A replica that is not finite stays so.

    Raises:
        ValueError: m is not on a CUDA device, has other points than the parameters or another
            shape than the noise, the steps are no multiple of `every`, or the field is not linear.
    """
    every = every or len(steps)
    _check(parameters, magnetisation, noise)
    if steps.step != 1 or every < 1 or len(steps) % every:
        raise ValueError(f"`steps` must be one or more times {every} steps, but are {steps}.")
    state = magnetisation.contiguous()
    records = state.new_empty((len(steps) // every, *state.shape))
    fields = _Fields.of(parameters, state)
    launch = _launcher(fields, noise, form or Form.fitting(state.numel() // 3))
    # Either several records in a launch, or several launches for a record.
    together, length = max(1, fields.limit // every), min(every, fields.limit)
    for number in range(0, len(records), together):
        part = records[number : number + together]
        first = steps.start + number * every
        for taken in range(0, every, length):
            launch(state, part, first + taken, min(length, every - taken))
            state = part[-1]
    return records


def _kernel(device: torch.device) -> ModuleType:
    """Return the module of the kernel, which needs Triton."""
    if importlib.util.find_spec("triton") is not None:
        from bayespin.physics import _macrospin_kernel as kernel

        if device.type == "cuda" or kernel.INTERPRETED:
            return kernel
    raise ValueError(
        f"`magnetisation` must be on a CUDA device, with Triton installed, for the fused kernel, "
        f"but is on {device}: use `macrospin.simulate`."
    )


def _check(parameters: Macrospins, magnetisation: Tensor, noise: CounterNoise) -> None:
    macrospin.check_points(parameters, magnetisation)
    if noise.like.shape != magnetisation.shape:
        raise ValueError(
            f"`noise` must be for the shape of m, {tuple(magnetisation.shape)}, but is for "
            f"{tuple(noise.like.shape)}."
        )


@dataclass(frozen=True)
class _Fields:
    """The fields of an ensemble as the kernel reads them, in the dtype and on the device of m."""

    parameters: Macrospins
    like: Tensor
    driven: bool
    """Whether they change in time."""
    width: int
    """Columns per operating point: one, or one per replica where replicas differ."""

    @classmethod
    def of(cls, parameters: Macrospins, like: Tensor) -> "_Fields":
        """Return the fields, with their layout taken from the values at time 0."""
        amplitudes = [a for t in parameters.spin_torques for a in (t.damping_like, t.field_like)]
        values = (
            parameters.effective_anisotropy, parameters.in_plane_anisotropy,
            parameters.applied_field, parameters.temperature, *amplitudes,
        )  # fmt: skip
        driven = not all(isinstance(value, (int, float, Tensor)) for value in values)
        widths = {torch.as_tensor(at(value, 0.0)).shape[-1:] for value in values}
        replicas = like.shape[-1]
        return cls(parameters, like, driven, replicas if (replicas,) in widths else 1)

    @property
    def points(self) -> tuple[int, ...]:
        """Shape of the operating points."""
        return self.like.shape[:AXIS]

    @property
    def cells(self) -> int:
        """Columns of a table."""
        return math.prod(self.points) * self.width

    @property
    def limit(self) -> int:
        """Steps of one launch at most."""
        table = max(1, TABLE_NUMBERS // (16 * self.cells))
        return min(STEPS_PER_LAUNCH, table) if self.driven else STEPS_PER_LAUNCH

    def rows(self, steps: range) -> Float[Tensor, "stages 8 cells"]:
        """Return b, K_z, K_x, q of B = b + K_z m_z ẑ + K_x m_x x̂ + m×q for each stage of each step.

        Found by asking `macrospin.effective_field` for the field of `PROBES`: every term is written
        once, and one that the kernel lacks is noticed. One row stands for all where nothing is
        driven.

        Raises:
            ValueError: the field is not of that form.
        """
        starts = torch.tensor(steps, dtype=torch.float64) * self.parameters.time_step
        times = torch.stack((starts, starts + self.parameters.time_step), -1).ravel()
        times = times.to(self.like.device) if self.driven else times[:1]
        probes = torch.tensor(PROBES, dtype=torch.float64, device=self.like.device)
        probes = probes.reshape(4, 1, *[1] * len(self.points), 3, 1)
        probes = probes.expand(4, len(times), *self.points, 3, self.width)
        parameters = self._frozen(times) if self.driven else self.parameters
        rows = _linear(macrospin.effective_field(parameters, probes))
        return rows.reshape(-1, 8, self.cells).to(self.like.dtype).contiguous()

    def _frozen(self, times: Float[Tensor, " stages"]) -> Macrospins:
        """Return parameters that are constant, with the times as a first axis of points."""

        def values(value: Driven, axes: int) -> Driven:
            if isinstance(value, (int, float, Tensor)):
                return value
            # Each time a number to the waveform, as in a single step, but one call for all.
            found = torch.func.vmap(lambda time: torch.as_tensor(at(value, time)).double())(times)
            if axes == 2 and found.ndim == 2:
                found = found.unsqueeze(-1)
            missing = len(self.points) + axes + 1 - found.ndim
            return found.reshape(len(times), *[1] * missing, *found.shape[1:])

        torques = [
            replace(
                torque,
                damping_like=values(torque.damping_like, 2),
                field_like=values(torque.field_like, 2),
            )
            for torque in self.parameters.spin_torques
        ]
        return replace(
            self.parameters,
            effective_anisotropy=values(self.parameters.effective_anisotropy, 1),
            in_plane_anisotropy=values(self.parameters.in_plane_anisotropy, 1),
            applied_field=values(self.parameters.applied_field, 2),
            spin_torques=tuple(torques),
        )

    def thermal(self) -> Float[Tensor, " cells"]:
        """Return the standard deviation of the thermal field over a step, T."""
        layer = self.parameters.layer
        std = thermal_field_std(
            layer.damping,
            layer.saturation_magnetisation,
            layer.volume,
            torch.as_tensor(self.parameters.temperature, dtype=torch.float64),
            self.parameters.time_step,
        )
        cells = torch.as_tensor(std).to(self.like).expand(*self.points, self.width)
        return cells.reshape(-1).contiguous()

    def constants(self) -> Float[Tensor, " 2"]:
        """Return α and γΔt/(1 + α²), the angle per tesla."""
        damping = self.parameters.layer.damping
        angle = gyration_rate(damping) * self.parameters.time_step
        return torch.tensor([damping, angle], dtype=self.like.dtype, device=self.like.device)


def _linear(found: Float[Tensor, "4 stages *points 3 width"]) -> Float[Tensor, "stages 8 *cells"]:
    applied, *others = found
    across, along, mixed = ((other - applied).unbind(AXIS) for other in others)
    q = along[1], across[2], -across[1]
    x, y, z = PROBES[3]
    expected = (
        across[0] * x + y * q[2] - z * q[1],
        z * q[0] - x * q[2],
        along[2] * z + x * q[1] - y * q[0],
    )
    error = (torch.stack(mixed) - torch.stack(expected)).abs().max()
    if not error <= 1e-9 * found.abs().max():
        raise ValueError(
            "`parameters` must give a field of the form b + K m + m×q for the fused kernel, but do "
            "not: use `macrospin.simulate`, for instance for a spin torque with an `asymmetry`."
        )
    return torch.stack((*applied.unbind(AXIS), along[2], across[0], *q), 1)


def _launcher(
    fields: _Fields, noise: CounterNoise, form: Form
) -> Callable[[Tensor, Tensor, int, int], None]:
    """Return (m, records to fill, index of the first step, steps per record) → one launch."""
    kernel = _kernel(fields.like.device)
    like, torqued = fields.like, bool(fields.parameters.spin_torques)
    points, replicas = math.prod(fields.points), like.shape[-1]
    programs = -(-points * replicas // form.lanes)
    steady = None if fields.driven else fields.rows(range(1))
    thermal, constants = fields.thermal(), fields.constants()
    shape = (form.lanes, fields.driven, fields.width > 1, torqued)
    device = torch.cuda.device(like.device) if like.is_cuda else contextlib.nullcontext()

    def launch(start: Tensor, records: Tensor, first: int, every: int) -> None:
        taken = range(first, first + every * len(records))
        rows = fields.rows(taken) if steady is None else steady
        with device:
            kernel.advance[(programs,)](
                (start, records, rows, thermal, constants),
                (noise.seed, noise.first_replica, noise.first_point, first),
                (len(records), every, points, replicas),
                shape,
                num_warps=form.warps,
                enable_fp_fusion=True,
            )

    return launch
