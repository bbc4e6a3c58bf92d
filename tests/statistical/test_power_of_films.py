"""Every planted fault of micromagnetics is caught by the checks that claim to catch it."""

from collections.abc import Callable

import pytest

from tests.physics import test_systems, test_wall_calibration
from tests.physics.film import (
    test_demagnetisation,
    test_exchange,
    test_gradient,
    test_mesh,
    test_minimisation,
    test_motion,
    test_newell,
    test_operator,
    test_texture,
)
from tests.statistical.film_faults import FILM_FAULTS
from tests.statistical.power import case, check_fails, own, pairs
from tests.statistical.test_power_of_walls import driven_by_drift, driven_by_spin_hall

FAULTS = {fault.name: fault for fault in FILM_FAULTS}


SLOPE = test_exchange.test_the_field_is_the_slope_of_the_energy
FIFTY = case(test_newell.test_fifty_digits, offset=(2, 1, 1), cell=test_newell.EDGES[4])
MEETING = case(
    test_newell.test_the_closed_form_meets_the_integrated_dipole, cell=test_newell.EDGES[0]
)
WIDTH = case(test_minimisation.test_width_of_a_wall_on_a_grid, size=1e-9, measured=5.579e-9)
LINEAR = test_gradient.test_a_linear_function_has_its_exact_slope_everywhere
FORMS = test_operator.test_every_form_is_the_same_map

CAUGHT_BY: dict[str, tuple[Callable[[], None], ...]] = {
    "exchange by the arithmetic mean": (
        test_exchange.test_a_jump_couples_by_the_harmonic_mean,
        case(SLOPE, dmi=0.0),
    ),
    "exchange with A for 2A": (
        case(test_exchange.test_field_of_a_spiral, axis=0),
        test_exchange.test_field_of_a_standing_wave_up_to_the_edges,
        test_exchange.test_energy_of_a_wall_profile,
        WIDTH,
    ),
    "exchange reaches over vacuum": (
        test_mesh.test_links_join_magnetic_neighbours,
        test_exchange.test_a_mask_is_the_smaller_mesh,
        case(LINEAR, masked=True),
    ),
    "DMI without its surfaces": (
        test_exchange.test_surfaces_with_dmi_are_of_second_order,
        case(SLOPE, dmi=test_exchange.D),
    ),
    "DMI of the other sense": (
        case(test_exchange.test_dmi_of_a_wall, angle=0.0, polarity=1, sign=1),
        driven_by_spin_hall,
    ),
    "slope halved at an edge": (
        case(LINEAR, masked=True),
        test_gradient.test_order_inside_and_at_the_ends,
        test_gradient.test_a_central_difference_spans_both_neighbours,
    ),
    "Newell's tensor negated off the diagonal": (
        FIFTY,
        case(test_newell.test_far_cells_are_dipoles, cell=(1.0, 1.0, 1.0), order=4),
        test_demagnetisation.test_a_far_layer_feels_a_dipole,
    ),
    "closed form negated off the diagonal": (FIFTY, MEETING),
    "far cells by one node": (
        MEETING,
        case(test_newell.test_fifty_digits, offset=(5, 3, 2), cell=test_newell.EDGES[0]),
    ),
    "a cell feels no field of its own": (
        test_newell.test_a_cube_demagnetises_itself_by_a_third,
        case(
            test_newell.test_the_trace_is_one_within_a_cell_and_zero_between_cells,
            cell=test_newell.EDGES[0],
        ),
        test_demagnetisation.test_one_cell_takes_the_field_of_its_shape,
        case(test_demagnetisation.test_the_middle_of_a_square_plate, thickness=1e-9),
        test_demagnetisation.test_a_staircase_disk_tends_to_the_cylinder,
    ),
    "tensor even in every offset": (case(test_demagnetisation.test_direct_sum, cells=(4, 3, 2)),),
    "anisotropy field of a film K/M": (
        test_motion.test_energy_of_uniform_states_in_closed_form,
        test_motion.test_a_single_cell_is_a_macrospin,
        WIDTH,
    ),
    "averages of a film count vacuum": (
        test_systems.test_records_have_names_points_and_units_of_their_system,
    ),
    "noise of the film for the whole volume": (test_motion.test_every_mode_holds_half_kt,),
    "energy of a film counts pairs twice": (
        test_motion.test_energy_is_the_work_of_the_field,
        test_motion.test_energy_of_uniform_states_in_closed_form,
        test_wall_calibration.test_straight_track_gives_the_closed_forms,
    ),
    "drift against the electrons": (
        test_motion.test_zhang_li_torque_is_the_drift_of_the_texture,
        driven_by_drift,
    ),
    "no β in a film": (
        test_motion.test_zhang_li_torque_is_the_drift_of_the_texture,
        driven_by_drift,
    ),
    "a matrix without the applied field": (case(FORMS, cells=(8, 6, 1), evaluation="dense"),),
    "mirrored blocks twice as large": (case(FORMS, cells=(8, 6, 1), evaluation="mirrored"),),
    "held cells move": (test_minimisation.test_held_cells_stay_and_the_rest_relaxes,),
    "position of a wall by the mean alone": (
        case(test_texture.test_a_sharp_wall_is_found_among_notches, position=25e-9, polarity=1),
    ),
    "domains turn the angle of a wall": (test_texture.test_the_angle_ignores_the_domains,),
}


def test_every_fault_has_a_check_that_catches_it():
    assert set(CAUGHT_BY) == set(FAULTS)


@pytest.mark.parametrize("check", own(CAUGHT_BY))
def test_check_passes_on_the_right_program(check):
    check()


@pytest.mark.parametrize("name,check", pairs(CAUGHT_BY))
def test_check_fails_under_the_fault(name, check):
    check_fails(check, FAULTS[name])
