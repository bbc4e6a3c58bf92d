"""Free memory: what the system says, and what a container allows."""

import pytest

from bayespin.numerics import memory


def test_available_memory_is_read_where_the_system_says_it(tmp_path):
    told = tmp_path / "meminfo"
    told.write_text("MemTotal:       16000 kB\nMemFree: 1 kB\nMemAvailable:    5000 kB\n")
    assert memory._available(told) == 5000 * 1024


def test_without_that_line_half_of_all_memory_is_taken(tmp_path, monkeypatch):
    counts = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(memory.os, "sysconf", counts.__getitem__, raising=False)
    assert memory._available(tmp_path / "none") == 2_048_000
    monkeypatch.delattr(memory.os, "sysconf")
    assert memory._available(tmp_path / "none") == 4 * 2**30


@pytest.mark.parametrize("limit, allowed", [("1000", 1000 - 700 + 200), ("100", 0)])
def test_a_container_allows_its_limit_less_what_is_used(tmp_path, limit, allowed):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 200\n")
    assert memory._allowed(tmp_path) == allowed


def test_a_container_without_limit_allows_all(tmp_path):
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._allowed(tmp_path) == 2**63 - 1
    assert 0 < memory.free_memory() < 2**50
