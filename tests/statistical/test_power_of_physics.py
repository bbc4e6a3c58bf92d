"""Every planted fault of the physics is caught by the checks that claim to catch it."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from bayespin.numerics import stochastic
from bayespin.numerics.stochastic import heun_step
from bayespin.physics.macrospin import RotationSplitting
from tests.numerics import test_dormand_prince, test_statistics, test_stochastic
from tests.physics import (
    test_characterisation,
    test_drive,
    test_drives_in_time,
    test_ensemble,
    test_llg,
    test_macrospin,
    test_macrospin_thermal,
    test_relaxation,
    test_resonance,
    test_sampling,
    test_spin_torque,
    test_switching,
    test_systems,
    test_wall_ensemble,
    test_wall_motion,
)
from tests.physics.files import test_dataset, test_ovf, test_vtk
from tests.physics.film import (
    test_mesh,
    test_motion,
)
from tests.statistical.physics_faults import PHYSICS_FAULTS
from tests.statistical.power import case, check_fails, own, pairs
from tests.statistical.test_power_of_walls import driven_by_spin_hall

FAULTS = {fault.name: fault for fault in PHYSICS_FAULTS}


def order_of_heun():
    test_stochastic.test_order_without_noise_and_with_time(stochastic.heun_step, 2)


def order_of_frozen_runge_kutta():
    test_stochastic.test_order_without_noise_and_with_time(stochastic.frozen_rk4_step, 4)


def one_example(test, **values):
    """Run a property on one example: a search for the smallest that fails takes seconds."""
    test.hypothesis.inner_test(**values)


def splits_of_steps():
    one_example(test_stochastic.test_any_split_gives_the_same_bits, cut=7)


def cayleys_rotation():
    one_example(test_llg.test_cayleys_rotation_turns_by_twice_the_arc_tangent, length=0.7)


def area_of_a_pulse():
    one_example(
        test_drive.test_area_of_a_pulse_is_amplitude_times_width,
        start=1.0, width=2.0, share=0.5, height=1.5,
    )  # fmt: skip


def linearised_spectrum():
    one_example(
        test_resonance.test_stiffness_gives_the_linearised_spectrum,
        applied=1.5, share=(0.2, 0.3, 0.5), anisotropy=1e5, damping=0.2,
    )  # fmt: skip


def mean_of_a_correlated_series():
    one_example(test_relaxation.test_effective_samples_is_the_variance_of_an_ar1_mean, rho=0.6)


def errors_of_means():
    found = test_sampling.process(1)
    pulls = [
        float(test_sampling.pulls(test_sampling.shape_estimates(x)[0], 0.0))
        for x in found.series["x"].unbind(1)
    ]
    test_sampling.means_have_honest_errors(pulls)


def pairs_of_records():
    with pytest.MonkeyPatch.context() as patch:
        test_statistics.test_pooled_autocovariance_is_the_sum_over_pairs(100, patch)


def order_in_ovf():
    with TemporaryDirectory() as folder:
        test_ovf.test_x_is_fastest_and_z_slowest(Path(folder))


def trajectories_left_out():
    test_sampling.test_trajectories_that_are_not_finite_are_left_out_and_counted(None)


BY_TIME = [
    case(test_drives_in_time.test_a_growing_field_turns_by_its_integral, turned=turned)
    for turned in (
        test_drives_in_time.azimuth_of_a_macrospin,
        test_drives_in_time.azimuth_of_a_film,
        test_drives_in_time.angle_of_a_wall,
    )
]
GILBERT = case(test_llg.test_torque_solves_gilberts_form, axis=-2, damping=0.02)
PRECESSION = case(
    test_macrospin.test_damped_precession_in_closed_form, method=heun_step, damping=0.5
)
SPLITTING = case(
    test_macrospin_thermal.test_weak_order,
    method=RotationSplitting(),
    order=2,
    damping=1.0,
    barrier=2.0,
)
WEAK_HEUN = case(
    test_macrospin_thermal.test_weak_order, method=heun_step, order=1, damping=1.0, barrier=2.0
)
LANGEVIN = case(test_macrospin_thermal.test_field_alone_gives_langevins_mean, method=heun_step)
CORRELATION = case(
    test_macrospin_thermal.test_correlation_decays_at_the_exact_rate, barrier=2.0, gap=2.0
)
SLONCZEWSKI = test_macrospin.test_slonczewski_torque_destabilises_beyond_the_critical_current
TORQUE_FORMULA = case(test_spin_torque.test_field_is_that_of_its_formula, axis=-2)
STIFF = test_llg.test_largest_stable_step_is_where_heun_stops_damping

CAUGHT_BY: dict[str, tuple[Callable[[], None], ...]] = {
    "Euler in place of Heun": (
        order_of_heun,
        test_stochastic.test_ornstein_uhlenbeck_variance_with_its_exact_discretisation,
        test_stochastic.test_stratonovich_drift_of_multiplicative_noise,
        test_stochastic.test_strong_order_one_on_one_brownian_path,
        case(STIFF, damping=0.1),
        test_motion.test_a_step_of_half_the_length_has_a_quarter_of_the_error,
    ),
    "Euler in place of Runge-Kutta": (
        order_of_frozen_runge_kutta,
        test_stochastic.test_frozen_runge_kutta_converges_to_stratonovich,
        case(SLONCZEWSKI, along=1.0, asymmetry=1.0),
    ),
    "a step read one step too late": (*BY_TIME,),
    "a resumed run begins at step 0": (
        splits_of_steps,
        case(
            test_macrospin.test_replicas_and_splits_keep_their_bits,
            method=heun_step,
            dtype=torch.float32,
        ),
        test_motion.test_any_split_of_the_steps_gives_the_same_bits,
        case(
            test_wall_ensemble.test_a_replica_alone_equals_itself_in_a_batch_and_any_split_of_steps,
            dtype=torch.float32,
        ),
    ),
    "one step too many": (test_stochastic.test_observer_sees_each_state_once_in_order, *BY_TIME),
    "blocks share a stream": (
        case(test_stochastic.test_blocks_have_streams_of_their_own, axis=0),
        test_ensemble.test_records_are_the_states_of_the_whole_ensemble_in_one_piece,
    ),
    "fifth-order weights lost": (test_dormand_prince.test_order_of_one_step,),
    "adaptive error a thousandth": (
        case(test_dormand_prince.test_error_stays_near_the_tolerance, tolerance=1e-5),
    ),
    "adaptive error of fourth order": (test_dormand_prince.test_fifth_order,),
    "one adaptive step for the batch": (
        test_dormand_prince.test_an_element_does_not_feel_its_neighbours,
    ),
    "1 + α² missing": (
        GILBERT,
        PRECESSION,
        *BY_TIME,
        test_wall_ensemble.test_field_and_current_below_and_above_breakdown,
    ),
    "γµ0 for γ": (
        test_llg.test_thermal_field_of_a_known_case,
        test_wall_motion.test_values_of_the_note,
        test_wall_motion.test_chiral_wall_of_the_note,
        test_relaxation.test_precession_frequency,
        test_characterisation.test_time_steps_follow_each_setting,
    ),
    "damping of the wrong sign": (
        GILBERT,
        PRECESSION,
        test_macrospin.test_without_noise_the_energy_falls,
        test_motion.test_without_noise_the_energy_falls,
    ),
    "one sign of the vector product": (
        GILBERT,
        TORQUE_FORMULA,
        case(test_llg.test_cross_and_unit_are_those_of_linear_algebra, axis=-2),
    ),
    "no renormalisation": (
        case(test_llg.test_cross_and_unit_are_those_of_linear_algebra, axis=-2),
        case(test_macrospin.test_both_precisions_follow_one_path, method=heun_step),
        test_motion.test_vacuum_stays_empty_and_moves_nothing,
    ),
    "rotation by twice the angle": (
        cayleys_rotation,
        SPLITTING,
    ),
    "diffusion of first order": (
        case(test_llg.test_diffusion_leaves_of_a_harmonic_what_the_laplacian_does, degree=2),
        SPLITTING,
    ),
    "thermal field x1.04": (
        test_llg.test_thermal_field_of_a_known_case,
        test_macrospin_thermal.test_heun_keeps_the_equilibrium_law,
        LANGEVIN,
        CORRELATION,
    ),
    "thermal field x√2": (
        WEAK_HEUN,
        test_motion.test_every_mode_holds_half_kt,
    ),
    "stable step x1.03": (
        case(STIFF, damping=0.02),
        test_llg.test_largest_stable_step_in_its_limits,
    ),
    "anisotropy field K/M": (
        test_macrospin_thermal.test_transverse_correlations_ring_at_the_anisotropy_field,
        test_macrospin.test_field_like_torque_tilts_as_a_field,
        test_macrospin.test_spin_hall_torque_tilts_a_perpendicular_layer_until_it_is_unstable,
    ),
    "every point at the first temperature": (
        test_macrospin.test_points_broadcast_whatever_differs,
    ),
    "energy counts anisotropy twice": (
        test_macrospin.test_field_is_minus_the_gradient_of_the_energy,
    ),
    "start from half the barrier": (
        test_macrospin_thermal.test_first_draw_follows_the_equilibrium_law,
        test_systems.test_without_a_start_the_first_draw_is_the_law,
    ),
    "status looks at m_z alone": (test_macrospin.test_status_says_which_replicas_are_not_finite,),
    "spin torque of the wrong sign": (
        TORQUE_FORMULA,
        test_spin_torque.test_spin_hall_current_acts_on_a_wall_as_a_field_along_z,
        test_macrospin.test_field_like_torque_tilts_as_a_field,
        case(SLONCZEWSKI, along=1.0, asymmetry=1.0),
        driven_by_spin_hall,
    ),
    "efficiency of the other polarisation": (
        TORQUE_FORMULA,
        test_spin_torque.test_efficiency_runs_from_one_to_the_square_of_the_asymmetry,
        case(SLONCZEWSKI, along=-1.0, asymmetry=1.5),
    ),
    "ħ for ħ/2": (
        test_spin_torque.test_numbers_of_the_literature,
        test_wall_motion.test_chiral_wall_of_the_note,
    ),
    "a pulse ends before its fall": (
        test_drive.test_a_pulse_at_its_edges,
        area_of_a_pulse,
    ),
    "Kittel with factors of other axes": (
        test_resonance.test_in_plane_film_and_sphere,
        test_resonance.test_perpendicular_film_of_the_table,
        linearised_spectrum,
    ),
    "linewidth without 1 + α²": (linearised_spectrum,),
    "rate of both wells": (
        test_switching.test_asymptote_over_the_exact_mode,
        test_switching.test_rate_in_seconds_is_the_form_of_leliaert,
    ),
    "prefactor of a well without field": (case(test_switching.test_field_along_the_axis, h=0.1),),
    "rate of one well": (
        test_relaxation.test_slowest_rate_table_of_an_easy_axis,
        test_switching.test_asymptote_over_the_exact_mode,
    ),
    "correlation ignored": (
        test_relaxation.test_sampling_correlation_and_effective_samples,
        mean_of_a_correlated_series,
    ),
    "every record a batch": (
        errors_of_means,
        test_sampling.test_a_correlation_time_longer_than_the_run_is_not_told,
    ),
    "errors of shapes as of the mean": (
        test_sampling.test_errors_of_independent_normal_samples_are_the_textbook_ones,
    ),
    "distance on one side": (test_sampling.test_the_distance_is_that_of_scipy,),
    "window of one step": (
        test_statistics.test_the_window_closes_where_its_definition_says,
        test_statistics.test_integrated_time_of_an_exponential,
    ),
    "pairs counted as records": (pairs_of_records,),
    "status ignored in averages": (trajectories_left_out,),
    "resumed one step early": (
        case(test_ensemble.test_an_extended_run_equals_the_long_one, first=17),
    ),
    "law of half the barrier": (
        case(test_characterisation.test_the_law_is_the_integral_of_its_density, barrier=-50.0),
    ),
    "z fastest in files": (
        order_in_ovf,
        case(test_vtk.test_structure_and_numbers, dtype=torch.float32),
    ),
    "cells at their corners": (
        test_mesh.test_sizes_of_a_mesh_with_unequal_cells,
        test_dataset.test_snapshots_of_a_film_know_where_the_cells_are,
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
