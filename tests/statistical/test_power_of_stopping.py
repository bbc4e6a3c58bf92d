"""Planted faults of stopping rules are caught by the checks that claim to catch them."""

import pytest

from tests.network import test_stopping
from tests.statistical.power import check_fails, own, pairs
from tests.statistical.stopping_faults import STOPPING_FAULTS

FAULTS = {fault.name: fault for fault in STOPPING_FAULTS}
CAUGHT_BY = {
    "stake chosen in hindsight": (
        test_stopping.bets_err_as_stated,
        test_stopping.test_capital_is_that_of_the_bets_by_hand,
    ),
    "interval of one look at every look": (test_stopping.normal_mixtures_err_as_stated,),
    "classes left out of the union": (
        test_stopping.test_certain_reads_stop_where_the_capital_says,
        test_stopping.test_the_union_is_over_the_classes_that_could_beat_the_right_one,
    ),
    "every round draws the same": (test_stopping.test_rounds_draw_for_the_images_still_read,),
}


def test_every_fault_has_a_check_that_catches_it():
    assert set(CAUGHT_BY) == set(FAULTS)


@pytest.mark.parametrize("check", own(CAUGHT_BY))
def test_check_passes_on_the_right_program(check):
    check()


@pytest.mark.parametrize("name,check", pairs(CAUGHT_BY))
def test_check_fails_under_the_fault(name, check):
    check_fails(check, FAULTS[name])
