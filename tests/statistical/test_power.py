"""Every planted fault is caught by the checks that claim to catch it, and only the fault fails."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from scipy import stats

from bayespin.nn.product import Dense
from bayespin.rng import Key, KeyedNoise
from tests.array import test_converter, test_crossbar
from tests.cell import test_programming
from tests.network import test_prediction, test_training
from tests.network.metrics import (
    test_calibration,
    test_comparison,
    test_detection,
    test_scores,
    test_uncertainty,
)
from tests.nn import test_estimators, test_hardware, test_mapping, test_mean_field
from tests.statistical.check import ks_is, mean_is, required_samples, variance_is
from tests.statistical.faults import FAULTS, Fault, planted
from tests.statistical.power import check_fails, own, pairs


def noise(count: int) -> torch.Tensor:
    return KeyedNoise.from_key(Key.root(1).child("power")).normal(torch.empty(count))


def noise_has_unit_power():
    variance_is(noise(required_samples(2**0.5, 0.04)), 1.0)


def noise_has_no_mean():
    mean_is(noise(required_samples(1.0, 0.02)), 0.0)


def noise_is_normal():
    ks_is(noise(10_000), stats.norm.cdf)


def neighbouring_streams_are_independent():
    """Products of two independent standard normal numbers have mean 0 and variance 1."""
    count = required_samples(1.0, 0.1)
    streams = [
        KeyedNoise.from_key(Key.root(1).child("block", block)).normal(torch.empty(count))
        for block in range(2)
    ]
    mean_is(streams[0] * streams[1], 0.0)


def ece_equals_torchmetrics():
    test_calibration.test_ece_equals_torchmetrics(15, 0)


def ece_edges():
    test_calibration.test_confidences_on_bin_edges_fall_where_torchmetrics_puts_them(torch.float64)


def moments_equal_brute_force_exactly():
    test_crossbar.test_moments_are_those_of_brute_force_exactly(4)


def brute_force_has_the_moments():
    test_crossbar.brute_force_has_these_moments(5, 30.0)


def quantiser_noise():
    test_converter.test_noise_of_an_ideal_quantiser(4)


def moments_of_a_layer():
    test_mean_field.test_moments_are_the_explicit_sums(Dense(5, 3))


def tiles_of_a_layer():
    test_hardware.test_every_tile_is_converted_by_itself_and_then_added(test_hardware.DENSE)


def divergence_by_definition():
    test_mapping.test_binned_divergence_is_the_sum_over_weights(0.02, 0.06)


def resumption():
    with TemporaryDirectory() as folder:
        test_training.test_interrupted_and_resumed_ends_in_the_same_bits(
            Path(folder), 7, "constant"
        )


CAUGHT_BY: dict[str, tuple[Callable[[], None], ...]] = {
    "noise power x1.04": (noise_has_unit_power,),
    "noise with a mean of 0.02": (noise_has_no_mean,),
    "uniform noise of the right variance": (noise_is_normal,),
    "child keys ignore their last part": (neighbouring_streams_are_independent,),
    "KL averaged over weights": (
        test_mean_field.test_kl_is_the_sum_over_weights_of_the_closed_form,
        test_mean_field.test_kl_is_the_integral_of_its_definition,
    ),
    "KL counted once per batch": (test_training.test_an_epoch_counts_the_summed_divergence_once,),
    "σ added up in place of σ²": (
        moments_of_a_layer,
        test_mean_field.test_moments_are_those_of_drawn_weights,
    ),
    "one draw for a whole feature map": (
        test_estimators.test_two_positions_share_a_draw_unless_every_read_is_fresh,
    ),
    "Flipout without signs": (
        test_estimators.test_two_images_share_a_frozen_draw_and_nothing_else,
    ),
    "tiles added before conversion": (tiles_of_a_layer,),
    "dark rows driven": (
        test_hardware.test_events_of_a_dense_layer_by_hand,
        test_hardware.test_events_of_a_convolution_by_hand,
    ),
    "rounding left out of the mapping": (divergence_by_definition,),
    "σ left outside the window": (test_training.test_spreads_stay_inside_the_window,),
    "resumed one epoch too early": (resumption,),
    "frozen weights drawn anew for each block": (
        test_prediction.test_frozen_weights_are_shared_by_all_blocks,
    ),
    "every block reads the same noise": (test_prediction.test_blocks_read_independently,),
    "pillars out of the programming loop": (test_programming.means_converge_to_what_is_wanted,),
    "missed steps twice as often": (test_programming.trains_end_where_their_law_says,),
    "last row of every tile lost": (
        test_crossbar.test_moments_are_the_plain_sums,
        moments_equal_brute_force_exactly,
    ),
    "read noise of the moments x1.1": (
        test_crossbar.test_moments_are_the_plain_sums,
        moments_equal_brute_force_exactly,
        brute_force_has_the_moments,
    ),
    "code zero conducts noise": (test_crossbar.zero_codes_conduct_nothing,),
    "ADC off by one": (test_converter.adc_codes_and_ends,),
    "ADC truncates": (quantiser_noise,),
    "calibration bins off by one": (ece_equals_torchmetrics, ece_edges),
    "calibration bins closed above": (ece_edges,),
    "labels of the floor drawn too often right": (
        test_calibration.test_floor_of_one_bin_in_closed_form,
    ),
    "Brier score averaged over classes": (
        test_scores.test_closed_forms_of_four_predictions,
        test_scores.test_against_other_libraries,
    ),
    "log-likelihood in bits": (
        test_scores.test_closed_forms_of_four_predictions,
        test_scores.test_against_other_libraries,
    ),
    "mean of logs for the log of the mean": (
        test_scores.test_mixture_likelihood_is_the_log_of_the_mean_not_the_mean_of_logs,
        test_uncertainty.test_streaming_equals_the_definition_on_all_reads,
    ),
    "mean of entropies for the entropy of the mean": (
        test_uncertainty.test_two_coins_by_hand,
        test_uncertainty.test_streaming_equals_the_definition_on_all_reads,
    ),
    "reads counted off by one": (
        test_uncertainty.test_streaming_equals_the_definition_on_all_reads,
    ),
    "ties count as misses in AUROC": (test_detection.test_closed_forms,),
    "standard error of unpaired samples": (
        test_comparison.test_standard_error_is_that_of_repeated_test_sets,
    ),
}


def test_every_fault_has_a_check_that_catches_it():
    assert set(CAUGHT_BY) == set(FAULTS)


@pytest.mark.parametrize("check", own(CAUGHT_BY))
def test_check_passes_on_the_right_program(check):
    check()


@pytest.mark.parametrize("name,check", pairs(CAUGHT_BY))
def test_check_fails_under_the_fault(name, check):
    check_fails(check, FAULTS[name])


def test_planting_is_undone_and_needs_its_target():
    before = KeyedNoise.normal
    with planted(FAULTS["noise power x1.04"]):
        assert KeyedNoise.normal is not before
    assert KeyedNoise.normal is before
    gone = Fault("gone", "bayespin.rng:KeyedNoise.no_such_method", lambda right: right)
    with pytest.raises(AttributeError, match="no_such_method"), planted(gone):
        pass
