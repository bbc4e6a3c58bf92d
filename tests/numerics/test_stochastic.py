"""Stochastic steps against exactly solvable equations, and the promise about splits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bayespin.numerics.stochastic import (
    STEPS_PER_STREAM,
    frozen_rk4_step,
    heun_step,
    integrate,
    keyed_block_noise,
    keyed_step_noise,
)
from bayespin.rng import Key
from tests.statistical.check import mean_is, variance_is

REPLICAS = 40_000


def relax(_, x, forcing):
    return -x + math.sqrt(2.0) * forcing


def geometric(_, x, forcing):
    return 0.5 * x * forcing


def walk(rate, start, dt, steps, words):
    state = torch.full((REPLICAS,), start, dtype=torch.float64)
    noise = keyed_step_noise(Key.root(1).child(words), state)
    return integrate(lambda _, x, n: heun_step(rate, x, n, dt), state, noise, range(steps))


def heun_variance(dt):
    """Stationary variance of Heun for dx = −x dt + √2 dW: x' = ax + b√(2dt) n, exactly."""
    a, b = 1 - dt + dt**2 / 2, 1 - dt / 2
    return 2 * dt * b**2 / (1 - a**2)


def test_ornstein_uhlenbeck_variance_with_its_exact_discretisation():
    x = walk(relax, 0.0, 0.1, 60, "ou")
    decayed = 1 - (1 - 0.1 + 0.005) ** 120
    variance_is(x, heun_variance(0.1) * decayed)
    with pytest.raises(AssertionError):  # 10 % more noise power
        variance_is(1.05 * x, heun_variance(0.1) * decayed)


def test_heun_is_weak_order_one_or_better_in_the_step():
    coarse, fine = (abs(heun_variance(dt) - 1) for dt in (0.1, 0.05))
    assert fine < coarse / 1.9


def test_stratonovich_drift_of_multiplicative_noise():
    """dx = x/2 ∘ dW has E ln x = 0; the Itô reading, which plain Euler gives, has −t/8."""
    x = walk(geometric, 1.0, 0.02, 50, "geometric")
    mean_is(x.log(), 0.0, bias=0.5**3 * 0.02)
    with pytest.raises(AssertionError):
        mean_is(x.log(), -1 / 8, bias=0.5**3 * 0.02)


def test_euler_would_be_caught():
    state = torch.ones(REPLICAS, dtype=torch.float64)
    noise = keyed_step_noise(Key.root(1).child("euler"), state)
    euler = integrate(
        lambda _, x, n: x + 0.02 * geometric(0.0, x, n / math.sqrt(0.02)), state, noise, range(50)
    )
    with pytest.raises(AssertionError):
        mean_is(euler.log(), 0.0, bias=0.5**3 * 0.02)


def test_strong_order_one_on_one_brownian_path():
    """Mean error against the exact x = exp(W/2) on nested steps of one path per replica.

    Ten batches of paths give the slope's standard error; Heun's order for one noise is 1.
    """
    batches, paths = 10, 400
    noise = keyed_step_noise(Key.root(2), torch.empty(batches, paths, dtype=torch.float64))
    fine = torch.stack([noise(i) for i in range(128)])
    exact = torch.exp(0.5 * fine.sum(0) / math.sqrt(128))
    errors = []
    for coarsening in (16, 1):
        draws = fine.reshape(-1, coarsening, batches, paths).sum(1) / math.sqrt(coarsening)
        x = torch.ones_like(exact)
        for draw in draws:
            x = heun_step(geometric, x, draw, coarsening / 128)
        errors.append((x - exact).abs().mean(-1))
    slopes = (errors[0] / errors[1]).log2() / 4
    mean_is(slopes, 1.0, bias=0.03)  # the next term of the error, dt^3/2, at the coarse step


@pytest.mark.parametrize("method,order", [(heun_step, 2), (frozen_rk4_step, 4)])
def test_order_without_noise_and_with_time(method, order):
    """dx/dt = x cos t: x = exp(sin t − sin t0)."""
    silent = torch.zeros(1, dtype=torch.float64)
    errors = []
    for steps in (20, 40):
        dt = 1.0 / steps
        x = torch.ones(1, dtype=torch.float64)
        for i in range(steps):
            x = method(lambda t, x, f: x * math.cos(t) + f, x, silent, dt, 0.5 + i * dt)
        errors.append(abs(float(x) - math.exp(math.sin(1.5) - math.sin(0.5))))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize("method", [heun_step, frozen_rk4_step])
def test_noise_is_held_over_the_step(method):
    """dx = ξ dt: the step is noise √dt, whatever the stages."""
    noise = torch.tensor([1.5, -2.0], dtype=torch.float64)
    moved = method(lambda _, x, f: f, torch.zeros_like(noise), noise, 0.04)
    torch.testing.assert_close(moved, 0.2 * noise)


def test_frozen_runge_kutta_converges_to_stratonovich():
    state = torch.ones(REPLICAS, dtype=torch.float64)
    noise = keyed_step_noise(Key.root(1).child("frozen"), state)
    x = integrate(lambda _, x, n: frozen_rk4_step(geometric, x, n, 0.02), state, noise, range(50))
    mean_is(x.log(), 0.0)  # one frozen noise: x' = x exp(noise √dt/2), no bias at all
    with pytest.raises(AssertionError):
        mean_is(x.log(), -1 / 8)


def test_noise_of_a_step_depends_on_key_and_index_alone():
    like = torch.empty(3, 7, dtype=torch.float64)
    key = Key.root(4)
    forward = keyed_step_noise(key, like)
    draws = [forward(i) for i in range(2 * STEPS_PER_STREAM + 3)]
    jumping = keyed_step_noise(key, like)
    for i in (20, 21, 3, 3, 34, 0, 16, 15, 17):
        assert torch.equal(jumping(i), draws[i])
    flat = torch.stack(draws).flatten()
    assert flat.unique().numel() == flat.numel()  # no step, and no stream, twice


def test_noise_of_both_precisions_is_the_same():
    key = Key.root(5)
    single, double = (
        keyed_step_noise(key, torch.empty(50, dtype=dtype))(9)
        for dtype in (torch.float32, torch.float64)
    )
    assert single.dtype == torch.float32
    assert torch.equal(single.double(), double)


@pytest.mark.parametrize("axis", [-1, 0])
def test_blocks_have_streams_of_their_own(axis):
    """Chunks of whole blocks, and more replicas, leave the numbers of a block as they are."""
    shape = [40, 3] if axis == 0 else [3, 40]
    like, key = torch.empty(shape), Key.root(6)
    whole = keyed_block_noise(key, like, 16, axis)(5)
    assert whole.shape == like.shape
    tail = keyed_block_noise(key, like.narrow(axis, 16, 24), 16, axis, first_block=1)(5)
    assert torch.equal(tail, whole.narrow(axis, 16, 24))
    fewer = keyed_block_noise(key, like.narrow(axis, 0, 32), 16, axis)(5)
    assert torch.equal(fewer, whole.narrow(axis, 0, 32))
    first, second = whole.narrow(axis, 0, 16), whole.narrow(axis, 16, 16)
    assert not torch.equal(first, second)
    with pytest.raises(ValueError, match="`block` must be at least 1, but is 0"):
        keyed_block_noise(key, like, 0, axis)


@given(cut=st.integers(0, 12))
def test_any_split_gives_the_same_bits(cut):
    start = torch.zeros(5, dtype=torch.float64)
    noise = keyed_step_noise(Key.root(3).child("split"), start)

    def step(_, x, n):
        return heun_step(relax, x, n, 0.1)

    whole = integrate(step, start, noise, range(12))
    part = integrate(step, start, noise, range(cut))
    assert torch.equal(whole, integrate(step, part, noise, range(cut, 12)))


def test_observer_sees_each_state_once_in_order():
    seen = []
    start = torch.zeros(1, dtype=torch.float64)
    noise = keyed_step_noise(Key.root(0), start)
    integrate(
        lambda _i, x, _n: x + 1, start, noise, range(3, 6), lambda i, x: seen.append((i, float(x)))
    )
    assert seen == [(3, 1.0), (4, 2.0), (5, 3.0)]
