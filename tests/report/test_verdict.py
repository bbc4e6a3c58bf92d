"""The words say what the numbers say, shortfalls first."""

from bayespin.report.verdict import check_summary, checks, sentences, tiles


def test_sentences_carry_the_chips_numbers(results):
    said = " ".join(sentences(results)).replace("\u00a0", " ")
    for number in ("89.84 % of 10,000", "90.05 %", "90.06 %", "0.0124", "0.0071", "1.19 µJ"):
        assert number in said


def test_what_is_not_known_is_not_said(results):
    chip = results["rows"][-1]
    chip.update(ece=None, energy_j=None, ood_ece=None)
    (only,) = sentences(results)
    assert only.startswith("The spintronic chip classifies")
    assert sentences({"rows": []}) == ["This run holds no result of the spintronic chip."]


def test_checks_that_fell_short_come_first_and_by_name(results):
    listed = checks(results)
    assert [check.met for check in listed] == [False, None, True, True, True, True]
    assert check_summary(listed) == "1 of 6 checks fell short: OOD ECE at f = 0.5."


def test_an_unmeasured_check_is_not_called_met(results):
    measured = [check for check in checks(results) if check.met is not False]
    assert check_summary(measured) == "4 of 5 checks met."
    assert check_summary([check for check in measured if check.met]) == "All 4 checks met."
    odd = {"checks": [{"name": "x", "value": 1, "target": "<= 2", "met": "true"}]}
    assert checks(odd)[0].met is None


def test_tiles_stand_beside_the_paper(results):
    shown = {tile.label: (tile.value, tile.lines) for tile in tiles(results)}
    assert shown["Accuracy"][0] == "89.84\u00a0%"
    assert shown["Accuracy"][1][1] == "paper 89.70\u00a0%"
    assert shown["Calibration error, half blended"][1][1] == "paper 0.1066, with letters"
