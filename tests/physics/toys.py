"""Ensembles with known answers, for tests of the runner and of the statistics."""

import math
from dataclasses import dataclass

import torch

from bayespin.numerics.stochastic import StepNoise, integrate, keyed_step_noise
from bayespin.rng import Key, KeyedNoise
from bayespin.shapes import Tensor


@dataclass(frozen=True, kw_only=True)
class OrnsteinUhlenbeck:
    """x' = ρx + √(1 − ρ²) s ξ, ρ = exp(−dt/τ): exact for dx = −x dt/τ + s √(2/τ) dW at any step.

    Stationary law N(0, s²) per operating point; autocorrelation exp(−t/τ).
    """

    std: tuple[float, ...] = (1.0,)
    correlation_time: float = 5.0
    time_step: float = 1.0
    fatal: float = math.inf
    """Values above it turn into NaN."""
    device: str = "cpu"
    replica_axis: int = -1

    def initial(self, replicas: int, key: Key) -> Tensor:
        like = torch.empty((len(self.std), replicas), device=self.device)
        return self._std(like) * KeyedNoise.from_key(key, self.device).normal(like)

    def noise(self, key: Key, state: Tensor) -> StepNoise:
        return keyed_step_noise(key, state)

    def advance(self, state: Tensor, noise: StepNoise, steps: range) -> Tensor:
        kept = math.exp(-self.time_step / self.correlation_time)
        kick = self._std(state) * math.sqrt(1 - kept**2)

        def step(_: int, x: Tensor, draw: Tensor) -> Tensor:
            x = kept * x + kick * draw
            return torch.where(x > self.fatal, torch.nan, x)

        return integrate(step, state, noise, steps)

    def observables(self, state: Tensor, time: float) -> dict[str, Tensor]:
        return {"x": state, "clock": torch.full_like(state, time)}

    def _std(self, like: Tensor) -> Tensor:
        return torch.tensor(self.std, dtype=like.dtype, device=like.device)[:, None]
