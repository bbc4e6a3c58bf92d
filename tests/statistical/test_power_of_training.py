"""Every planted fault of training is caught by the checks that claim to catch it."""

from collections.abc import Callable

import pytest

from bayespin.nn.mean_field import MeanFieldLayer
from tests.network import test_ivon, test_priors, test_training
from tests.nn import test_dropout
from tests.statistical.power import case, check_fails, pairs
from tests.statistical.training_faults import TRAINING_FAULTS

FAULTS = {fault.name: fault for fault in TRAINING_FAULTS}

CAUGHT_BY: dict[str, tuple[Callable[[], None], ...]] = {
    "every share counted as the whole batch": (
        case(test_training.test_shares_of_a_batch_add_up_to_the_batch, layer=MeanFieldLayer),
    ),
    "curvature from squared gradients": (test_ivon.test_two_steps_by_hand,),
    "prior of natural gradients without its weight": (test_ivon.test_two_steps_by_hand,),
    "centre of the prior forgotten": (
        test_priors.test_divergence_from_a_prior_about_other_weights,
    ),
    "σ of MOPED from the largest weight": (
        case(test_priors.test_moped_starts_from_the_weights, centre="zero"),
    ),
    "dropout that does not scale what it keeps": (
        test_dropout.test_numbers_above_the_threshold_stay,
    ),
}


def test_every_fault_has_a_check_that_catches_it():
    assert set(CAUGHT_BY) == set(FAULTS)


@pytest.mark.parametrize("name,check", pairs(CAUGHT_BY))
def test_check_fails_under_the_fault(name, check):
    check_fails(check, FAULTS[name])
