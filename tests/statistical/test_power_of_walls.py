"""Every planted fault of domain walls is caught by the checks that claim to catch it."""

from collections.abc import Callable

import pytest
import torch

from bayespin.physics.spin_torque import SpinTorque
from tests.physics import (
    test_domain_wall,
    test_wall_calibration,
    test_wall_ensemble,
    test_wall_motion,
    test_wall_pinning,
)
from tests.statistical.power import case, check_fails, own, pairs
from tests.statistical.wall_faults import WALL_FAULTS

FAULTS = {fault.name: fault for fault in WALL_FAULTS}


def films_and_walls(drive, effect):
    test_wall_calibration.test_a_film_and_two_coordinates_move_alike(drive, effect)


def driven_by_spin_hall():
    torque = SpinTorque(direction=torch.tensor([0.0, 1.0, 0.0]).double(), damping_like=0.03)
    films_and_walls({"spin_torques": (torque,)}, {"spin_hall_field": 0.03})


def driven_by_drift():
    drift = torch.tensor([40.0, 0.0, 0.0]).double()
    films_and_walls({"drift_velocity": drift, "nonadiabaticity": 0.7}, {"drift_velocity": 40.0})


def held_walls():
    calibrated = test_wall_calibration.calibration.calibrate(
        test_wall_calibration.notched(), notches=(128e-9,)
    )
    test_wall_calibration.test_held_walls_measure_energy_and_slope_alike(calibrated)


CHIRAL = case(test_wall_ensemble.test_chiral_wall_under_spin_hall_torque, sign=1)

CAUGHT_BY: dict[str, tuple[Callable[[], None], ...]] = {
    "noise on the position of a wall alone": (
        test_wall_ensemble.test_thermal_diffusion_free_and_locked,
        test_wall_ensemble.test_pinned_walls_follow_boltzmann,
    ),
    "noise of walls x1.1": (
        test_wall_ensemble.test_thermal_diffusion_free_and_locked,
        test_wall_ensemble.test_pinned_walls_follow_boltzmann,
    ),
    "notches pull twice": (
        test_wall_ensemble.test_rates_are_the_gradient_of_the_energy,
        test_wall_ensemble.test_pinned_walls_follow_boltzmann,
    ),
    "B_p for B_p/2": (
        test_wall_ensemble.test_breakdown_with_dmi_is_at_the_walker_field,
        test_wall_ensemble.test_rates_are_the_gradient_of_the_energy,
        driven_by_drift,
    ),
    "DMI of a wall of the wrong sign": (
        CHIRAL,
        test_wall_ensemble.test_rates_are_the_gradient_of_the_energy,
        driven_by_spin_hall,
    ),
    "no β of a wall": (driven_by_drift,),
    "stable step of a wall x1.02": (
        test_wall_ensemble.test_largest_stable_step_is_where_heun_stops_damping,
    ),
    "Walker's field from B_p": (
        test_wall_motion.test_values_of_the_note,
        test_wall_motion.test_walker_field_of_strong_dmi,
    ),
    "spin-Hall velocity without π/2": (test_wall_motion.test_chiral_wall_of_the_note, CHIRAL),
    "period of a whole turn": (test_wall_motion.test_breakdown_period_is_the_time_of_half_a_turn,),
    "diffusion constant for both senses": (
        test_wall_motion.test_diffusion_of_the_note,
        test_wall_ensemble.test_thermal_diffusion_free_and_locked,
    ),
    "escape to both sides": (
        case(test_wall_pinning.test_escape_rate_tends_to_the_slowest_mode, hard=0.0),
    ),
    "steepest slope at the width": (test_wall_pinning.test_depinning_field_and_tilted_barrier,),
    "width of a wall for its half": (
        test_wall_calibration.test_straight_track_gives_the_closed_forms,
    ),
    "slope of held walls halved": (held_walls,),
    "moment of half the track": (test_wall_calibration.test_straight_track_gives_the_closed_forms,),
    "wall energy of half a wall": (
        test_domain_wall.test_energies_of_the_pt_co_alox_set,
        test_wall_calibration.test_straight_track_gives_the_closed_forms,
    ),
    "width on a grid as if continuous": (
        case(test_domain_wall.test_width_on_cells, cell=1e-9, measured=5.579e-9),
        test_wall_calibration.test_straight_track_gives_the_closed_forms,
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
