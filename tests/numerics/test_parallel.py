"""Work on threads: in order, with the caller's threads as they were, and ended early."""

import threading

import pytest
import torch

from bayespin.numerics.parallel import in_order


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(in_order(lambda n: n * n, range(20), workers)) == [n * n for n in range(20)]


def test_each_worker_has_one_torch_thread_and_the_caller_keeps_its_own():
    before = torch.get_num_threads()
    assert set(in_order(lambda _: torch.get_num_threads(), range(4), 2)) == {1}
    assert torch.get_num_threads() == before


def test_a_failure_stops_the_others():
    stop, seen = threading.Event(), []

    def one(item):
        if item == 0:
            raise KeyboardInterrupt
        seen.append(stop.wait(timeout=30))

    with pytest.raises(KeyboardInterrupt):
        list(in_order(one, range(2), 2, stop))
    assert seen in ([], [True])
