"""The bill: hand-worked LeNet-5, the reference tile, additivity, latency, area, planted faults."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayespin.cost.account import Bill, Hardware, Schedule, account
from bayespin.cost.components import ComponentTable, load_components
from bayespin.events import Events, LayerActivity, TileShape
from tests.cost.lenet import HARDWARE, READS, SCHEDULE, activity

TABLE = load_components()
STATIC = ("leakage", "statistics")  # follow time and classes, not events


def price(layers: list[LayerActivity], reads: int = READS) -> Bill:
    return account(layers, reads, HARDWARE, SCHEDULE, TABLE)


def check_converters(bill: Bill) -> None:
    """8,478 conversions a pass by hand: 784·6 + 2·100·16 + 4·120 + 84 + 10."""
    conversions = READS * (4704 + 3200 + 480 + 84 + 10)
    assert bill.energy_by_component["adc"] == pytest.approx(conversions * 0.70108416e-12, rel=1e-6)
    assert bill.energy_by_component["adc"] == pytest.approx(0.59e-6, rel=0.01)
    dearer = conversions * (10**0.387 - 0.70108416) * 1e-12
    assert bill.energy_high_j - bill.energy_j == pytest.approx(dearer, rel=1e-6)


def test_lenet_converters_by_hand() -> None:
    check_converters(price(activity()))


@pytest.mark.parametrize("fault", ["one row tile forgotten", "sigma converted apart", "femto"])
def test_planted_faults_in_the_conversions_are_caught(fault: str) -> None:
    layers, table = activity(), TABLE
    if fault == "one row tile forgotten":
        events = dataclasses.replace(layers[2].events, conversions=3 * 120)
        layers[2] = dataclasses.replace(layers[2], events=events)
    elif fault == "sigma converted apart":
        layers = [dataclasses.replace(a, events=a.events + a.events) for a in layers]
    else:
        adc = dataclasses.replace(table.adc, linear_capacitance=100e-12)
        table = dataclasses.replace(table, adc=adc)
    bill = account(layers, READS, HARDWARE, SCHEDULE, table)
    with pytest.raises(AssertionError):
        check_converters(bill)


def test_lenet_other_parts_by_hand() -> None:
    """Each product below is worked on paper from the counts of the network; J per 100 passes."""
    parts = price(activity()).energy_by_component
    drives = 784 * 25 + 100 * 150 + 400 + 120 + 84
    hand = {
        "array": 100 * 0.3e-9,
        "read supply": 100 * 0.3e-9 * (0.2 / (0.5 * 0.1 * 0.8) - 1),
        "dac": 100 * drives * 50e-15 * 8 * 0.1 * 0.9,
        "sample and hold": 100 * 8478 * 2 * 1e-15,
        "register": 100 * 8478 * (16 * 5.3e-15 + 16.4e-15),
        "accumulate": 100 * 8478 * 26e-15,
        "activation": 100 * 6518 * (6.8e-15 + 0.205e-12),
        "buffer": 100 * ((3920 + 3000 + 604) * 0.335e-12 + 1790 * 0.415e-12),
        "control": 100 * (784 + 200 + 4 + 1 + 1) * 1e-12,
        "statistics": 100 * 10 * 1.54e-12,
    }
    for name, joules in hand.items():
        assert parts[name] == pytest.approx(joules, rel=1e-9), name


def test_lenet_latency_and_total() -> None:
    bill = price(activity())
    assert bill.latency_s == pytest.approx(100 * (784 + 100 + 3) * 42.6e-9, rel=1e-12)
    assert bill.latency_s == pytest.approx(3.8e-3, rel=0.01)
    assert sum(bill.energy_by_component.values()) == pytest.approx(bill.energy_j, rel=1e-12)
    assert sum(bill.energy_by_layer.values()) == pytest.approx(bill.energy_j, rel=1e-12)
    assert sum(bill.area_by_component.values()) == pytest.approx(bill.area_m2, rel=1e-12)
    assert sum(bill.area_by_layer.values()) == pytest.approx(bill.area_m2, rel=1e-12)
    assert sum(bill.latency_by_layer.values()) == pytest.approx(bill.latency_s, rel=1e-12)


def reference_tile() -> tuple[Bill, ComponentTable]:
    """128 rows, 64 outputs of 4 devices, 8 one-bit slices of 10 ns, activity 0.25, 100 kΩ.

    The reference has one integrator per output without bias, and no DAC.
    """
    slices, drives = 8, 8 * 128 * 0.25
    array = slices * 128 * 64 * 4 * 0.25 * 0.1**2 * 0.7 / 100e3 * 10e-9
    events = Events(
        tile_reads=1, row_drives=drives, integrations=64 * slices, conversions=64,
        buffer_bits_read=8 * 128, buffer_bits_written=8 * 64, cell_reads=128 * 64,
        array_energy=array,
    )  # fmt: skip
    integrator = dataclasses.replace(
        TABLE.integrator, per_output=1, bias_current=0.0, capacitance=0.0
    )
    line = dataclasses.replace(TABLE.line, column_swing=0.0)
    table = dataclasses.replace(TABLE, integrator=integrator, line=line)
    hardware = Hardware(output_conductance=28e-6, input_bits=1)
    layer = LayerActivity(
        name="tile", tiles=(TileShape(rows=128, outputs=64),), positions=1, events=events
    )
    schedule = dataclasses.replace(SCHEDULE, classes=0)
    return account([layer], 1, hardware, schedule, table), table


def test_reference_tile_terms_and_total() -> None:
    bill, _ = reference_tile()
    parts = bill.energy_by_component
    picojoule = {
        "array": 45.9, "adc": 44.9, "lines": 10.6, "integrator": 21.5, "sample and hold": 0.512,
        "register": 64 * 0.101, "buffer": 69.3, "dac": 0.0,
    }  # fmt: skip
    for name, expected in picojoule.items():
        assert parts[name] * 1e12 == pytest.approx(expected, rel=1e-2), name
    comparable = sum(parts[name] for name in picojoule) * 1e12
    assert comparable == pytest.approx(199, rel=1e-2)  # case E: free-running samples
    assert comparable + 128 * 64 * 2 * 10e-3 == pytest.approx(363, rel=1e-2)  # case A: 10 fJ resets
    assert comparable / (128 * 64) * 1e3 == pytest.approx(24, rel=2e-2)  # fJ per product


counts = st.floats(min_value=0.0, max_value=1e6, allow_subnormal=False)
all_events = st.builds(Events, **{f.name: counts for f in dataclasses.fields(Events)})


def dynamic(events: Events, reads: int = 1) -> dict[str, float]:
    layer = LayerActivity(
        name="a",
        tiles=(TileShape(rows=100, outputs=8), TileShape(rows=28, outputs=8)),
        positions=3,
        events=events,
    )
    parts = price([layer], reads).energy_by_component
    return {name: value for name, value in parts.items() if name not in STATIC}


@given(first=all_events, second=all_events)
def test_energy_is_additive_over_events(first: Events, second: Events) -> None:
    one, two, both = dynamic(first), dynamic(second), dynamic(first + second)
    for name, value in both.items():
        assert value == pytest.approx(one[name] + two[name], rel=1e-9, abs=1e-30)


@given(
    events=all_events,
    factor=st.floats(min_value=0.0, max_value=100.0, allow_subnormal=False),
    reads=st.integers(min_value=1, max_value=1000),
)
def test_energy_is_linear_in_events_and_reads(events: Events, factor: float, reads: int) -> None:
    once, scaled, many = dynamic(events), dynamic(events.scaled(factor)), dynamic(events, reads)
    for name, value in once.items():
        assert scaled.get(name, 0.0) == pytest.approx(factor * value, rel=1e-9, abs=1e-30)
        assert many.get(name, 0.0) == pytest.approx(reads * value, rel=1e-9, abs=1e-30)


def test_each_event_has_a_price_and_nothing_else_has() -> None:
    """Every count but cell reads moves the bill (cell reads are paid as joules of the array)."""
    free = {"cell_reads"}
    programming = {"write_pulses", "verify_reads", "write_energy"}
    for field in dataclasses.fields(Events):
        events = Events(**{field.name: 1.0})
        layer = LayerActivity(
            name="a", tiles=(TileShape(rows=8, outputs=8),), positions=1, events=events
        )
        bill = price([layer])
        assert (sum(dynamic(events).values()) > 0) == (field.name not in free | programming)
        assert (bill.programming_energy_j > 0) == (field.name in programming)


def test_programming_by_hand() -> None:
    """Joules of devices as they come; pulses and verifying reads at the table's price; once each.

    A verifying read is one conversion and one output's integration. Times add, layer by layer; two
    copies of a layer are written at once and cost twice.
    """
    events = Events(write_energy=3e-9, write_pulses=1000.0, verify_reads=200.0)
    read = Events(conversions=200.0, integrations=200.0)
    tile = (TileShape(rows=8, outputs=8),)
    layers = [
        LayerActivity(name=name, tiles=tile, positions=1, events=events) for name in ("a", "b")
    ]
    schedule = dataclasses.replace(
        SCHEDULE, replication={"b": 2}, programming_times={"a": 1e-3, "b": 5e-4}
    )
    bill = account(layers, 1, HARDWARE, schedule, TABLE)
    parts = bill.programming_energy_by_part
    assert parts["devices"] == pytest.approx(9e-9, rel=1e-12)
    assert parts["pulse logic"] == pytest.approx(3000 * TABLE.control.write_pulse, rel=1e-12)
    same = dynamic(read)
    assert parts["verifying converters"] == pytest.approx(3 * (same["adc"] + same["integrator"]))
    assert bill.programming_energy_j == pytest.approx(sum(parts.values()), rel=1e-12)
    assert bill.programming_time_s == pytest.approx(1.5e-3, rel=1e-12)
    shared = bill.amortised_energy(1e6) - bill.energy_j
    assert shared == pytest.approx(bill.programming_energy_j / 1e6, rel=1e-6)
    wrong = dataclasses.replace(SCHEDULE, programming_times={"c": 1.0})
    with pytest.raises(ValueError, match="`programming_times` must name layers of a, b"):
        account(layers, 1, HARDWARE, wrong, TABLE)
    with pytest.raises(ValueError, match="`programming_times` must not be negative"):
        dataclasses.replace(SCHEDULE, programming_times={"a": -1.0})


def test_no_events_cost_no_dynamic_energy() -> None:
    assert set(dynamic(Events()).values()) == {0.0}
    idle = [dataclasses.replace(layer, events=Events()) for layer in activity()]
    parts = price(idle).energy_by_component
    assert {name for name, value in parts.items() if value > 0} == set(STATIC)


def test_energy_and_latency_are_linear_in_reads_leakage_included() -> None:
    one, many = price(activity(), 1), price(activity(), 50)
    assert many.energy_j == pytest.approx(50 * one.energy_j, rel=1e-12)
    assert many.latency_s == pytest.approx(50 * one.latency_s, rel=1e-12)
    assert many.area_m2 == one.area_m2


def test_replication_buys_time_with_area() -> None:
    plain = price(activity())
    schedule = dataclasses.replace(SCHEDULE, replication={"conv1": 4})
    bill = account(activity(), READS, HARDWARE, schedule, TABLE)
    assert bill.latency_by_layer["conv1"] == pytest.approx(plain.latency_by_layer["conv1"] / 4)
    assert bill.area_by_layer["conv1"] == pytest.approx(4 * plain.area_by_layer["conv1"])
    for name, value in plain.energy_by_component.items():
        if name not in STATIC:
            assert bill.energy_by_component[name] == pytest.approx(value, rel=1e-12)


def test_shared_converters_take_turns() -> None:
    """16 outputs on one converter: drive + settle + window + hold + 16 conversions + digital."""
    tile = TileShape(rows=64, outputs=16)
    layer = LayerActivity(name="a", tiles=(tile,), positions=5, events=Events())
    hardware = dataclasses.replace(HARDWARE, columns_per_adc=16)
    bill = account([layer], 3, hardware, SCHEDULE, TABLE)
    settle = 9 * 0.6931471805599453 * (500 + 0.38 * 64 * 4) * 64 * 0.2e-15
    conversion = 8 * (6.53e-12 * 64 + 0.64e-9)
    read = 1e-9 + settle + 10e-9 + 1e-9 + 16 * conversion + 2e-9
    assert bill.latency_s == pytest.approx(3 * 5 * read, rel=1e-9)
    assert bill.area_by_component["adc"] == pytest.approx(1.3 * TABLE.adc.area(8), rel=1e-12)


def test_bits_cost_energy_and_area() -> None:
    bills = [
        account(activity(), READS, dataclasses.replace(HARDWARE, adc_bits=b), SCHEDULE, TABLE)
        for b in (6, 7, 8)
    ]
    assert bills[0].energy_j < bills[1].energy_j < bills[2].energy_j
    assert bills[0].area_m2 < bills[1].area_m2 < bills[2].area_m2


def test_two_technologies_in_one_process_differ() -> None:
    """A cached price would return the first table's numbers for the second."""
    halved = dataclasses.replace(TABLE.adc, linear_capacitance=50e-15)
    other = dataclasses.replace(TABLE, name="other", adc=halved)
    first = price(activity())
    second = account(activity(), READS, HARDWARE, SCHEDULE, other)
    saved = first.energy_by_component["adc"] - second.energy_by_component["adc"]
    assert saved == pytest.approx(847_800 * 50e-15 * 8 * 0.81, rel=1e-9)
    assert first == price(activity())


@pytest.mark.parametrize(
    "change, told",
    [
        ({"sampling_period": 0.0}, "`sampling_period` must be above zero"),
        ({"classes": -1}, "`classes` must not be negative"),
        ({"replication": {"conv1": 0}}, "`replication` must be at least 1"),
    ],
)
def test_impossible_schedules_are_refused(change: dict[str, object], told: str) -> None:
    fields = {"read_window": 1e-8, "sampling_period": 4e-8, "classes": 10, **change}
    with pytest.raises(ValueError, match=told):
        Schedule(**fields)


def test_impossible_bills_are_refused() -> None:
    with pytest.raises(ValueError, match="`reads` must be at least 1"):
        price(activity(), 0)
    with pytest.raises(ValueError, match="distinct names"):
        price(activity() * 2)
    with pytest.raises(ValueError, match="`adc_bits` must lie between 1 and 11"):
        dataclasses.replace(HARDWARE, adc_bits=12)
    schedule = dataclasses.replace(SCHEDULE, replication={"conv9": 2})
    with pytest.raises(ValueError, match="but names `conv9`"):
        account(activity(), READS, HARDWARE, schedule, TABLE)
