"""What the results say in words: the opening sentences, the four headline numbers, the checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayespin.report.formatting import area, count, decimals, figures, percent, quantity
from bayespin.report.naming import CHIP, DETERMINISTIC, SOFTWARE, Row, at_blend, find_row, known
from bayespin.report.reference import HEADLINE_BLEND, comparable, paper_row


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One headline number with what to compare it with."""

    label: str
    value: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One target and whether the run met it; `met` is None where it was not measured."""

    name: str
    value: str
    target: str
    met: bool | None


def checks(results: Mapping[str, Any]) -> list[Check]:
    """Return the checks, those that fell short first."""
    listed = [
        Check(
            name=str(entry.get("name", "")),
            value=figures(entry.get("value"), 4),
            target=str(entry.get("target", "")).replace("<=", "≤").replace(">=", "≥"),
            met=entry.get("met") if isinstance(entry.get("met"), bool) else None,
        )
        for entry in results.get("checks") or ()
    ]
    order = {False: 0, None: 1, True: 2}
    return sorted(listed, key=lambda check: order[check.met])


def sentences(results: Mapping[str, Any]) -> list[str]:
    """Return the opening sentences: accuracy, calibration, other images, energy."""
    rows: Sequence[Row] = results.get("rows") or ()
    chip = find_row(rows, CHIP)
    if chip is None:
        return ["This run holds no result of the spintronic chip."]
    said = [_accuracy(chip, rows), _calibration(chip), _other_images(chip, rows), _energy(chip)]
    return [sentence for sentence in said if sentence]


def _accuracy(chip: Row, rows: Sequence[Row]) -> str:
    if known(chip.get("accuracy")) is None:
        return ""
    twins = [
        f"{percent(twin.get('accuracy'))} ({name})"
        for key, name in zip(SOFTWARE, ("frozen weights", "fresh at every read"), strict=True)
        if (twin := find_row(rows, key)) is not None and known(twin.get("accuracy")) is not None
    ]
    images = count(chip.get("images")) if known(chip.get("images")) is not None else "the"
    right = percent(chip["accuracy"])
    said = f"The spintronic chip classifies {right} of {images} test images correctly"
    return f"{said}; the same network in software, {' and '.join(twins)}." if twins else f"{said}."


def _calibration(chip: Row) -> str:
    if known(chip.get("ece")) is None:
        return ""
    floor = known(chip.get("ece_floor"))
    said = f"Its confidence misses its accuracy by {decimals(chip['ece'], 4)} on average"
    if floor is None:
        return f"{said}."
    return f"{said}, where perfect calibration would show {decimals(floor, 4)} on as many images."


def _other_images(chip: Row, rows: Sequence[Row]) -> str:
    ours = at_blend(chip.get("ood_ece"), HEADLINE_BLEND)
    if ours is None:
        return ""
    said = f"On images that are half something else it misses by {decimals(ours, 4)}"
    plain = at_blend((find_row(rows, DETERMINISTIC) or {}).get("ood_ece"), HEADLINE_BLEND)
    return (
        f"{said}, a deterministic network by {decimals(plain, 4)}."
        if plain is not None
        else f"{said}."
    )


def _energy(chip: Row) -> str:
    if known(chip.get("energy_j")) is None:
        return ""
    reads = f" of {count(chip.get('reads'))} reads" if known(chip.get("reads")) is not None else ""
    said = f"One prediction{reads} costs {quantity(chip['energy_j'], 'J')}"
    if known(chip.get("latency_s")) is None:
        return f"{said}."
    return f"{said} and takes {quantity(chip['latency_s'], 's')}."


def unverified(results: Mapping[str, Any]) -> str:
    """Return why write-verify loops gave up, with their numbers over all layers."""
    reasons: dict[str, float] = {}
    for entry in results.get("programming") or ():
        for part in ("mean", "sigma"):
            for reason, number in ((entry.get(part) or {}).get("failed") or {}).items():
                reasons[reason] = reasons.get(reason, 0) + number
    told = [f"{count(number)} {reason}" for reason, number in reasons.items() if number]
    return f"Loops that gave up: {'; '.join(told)}." if told else ""


def programming(results: Mapping[str, Any]) -> str:
    """Return what programming the chip costs once, and per prediction over its use."""
    chip = find_row(results.get("rows") or (), CHIP) or {}
    once, seconds = known(chip.get("programming_energy_j")), chip.get("programming_time_s")
    if once is None:
        return ""
    said = f"Programming the chip costs {quantity(once, 'J')} and takes {quantity(seconds, 's')}"
    each = known(chip.get("energy_j"))
    if not each:
        return f"{said}."
    return (
        f"{said}, as much as {figures(once / each)} predictions; over a million predictions it "
        f"adds {quantity(once / 1e6, 'J')} to each."
    )


def tiles(results: Mapping[str, Any]) -> list[Tile]:
    """Return the four headline numbers of the spintronic chip."""
    rows: Sequence[Row] = results.get("rows") or ()
    chip, plain = find_row(rows, CHIP) or {}, find_row(rows, DETERMINISTIC) or {}
    software = find_row(rows, SOFTWARE[0]) or {}
    paper = paper_row(CHIP) if comparable(results) else None
    said = ("", "", "") if paper is None else (
        f"paper {percent(paper.accuracy)}",
        f"paper {decimals(paper.ece, 4)}",
        f"paper {decimals(paper.ood_ece, 4)}, with letters",
    )  # fmt: skip
    unblended = at_blend(plain.get("ood_ece"), HEADLINE_BLEND)
    return [
        Tile(
            label="Accuracy",
            value=percent(chip.get("accuracy")),
            lines=(f"software {percent(software.get('accuracy'))}", said[0]),
        ),
        Tile(
            label="Calibration error",
            value=decimals(chip.get("ece"), 4),
            lines=(f"floor {decimals(chip.get('ece_floor'), 4)}", said[1]),
        ),
        Tile(
            label="Calibration error, half blended",
            value=decimals(at_blend(chip.get("ood_ece"), HEADLINE_BLEND), 4),
            lines=(f"deterministic {decimals(unblended, 4)}", said[2]),
        ),
        Tile(
            label="Energy per prediction",
            value=quantity(chip.get("energy_j"), "J"),
            lines=(
                f"{count(chip.get('reads'))} reads in {quantity(chip.get('latency_s'), 's')}",
                f"chip area {area(chip.get('area_m2'))}",
            ),
        ),
    ]


def check_summary(listed: Sequence[Check]) -> str:
    """Return one sentence on the checks, those that fell short by name."""
    if not listed:
        return ""
    short = [check.name for check in listed if check.met is False]
    if not short:
        met = sum(check.met is True for check in listed)
        if met == len(listed) == 1:
            return "The one check was met."
        every = "All" if met == len(listed) else f"{met} of"
        return f"{every} {len(listed)} checks met."
    return f"{len(short)} of {len(listed)} checks fell short: {'; '.join(short)}."
