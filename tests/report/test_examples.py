"""Test images on the page: which of many classes are drawn, and pictures in their colours."""

import io
from base64 import b64decode
from typing import Any

import numpy as np
from matplotlib.image import imread

from bayespin.report.examples import _drawn, _taken, examples, picture_uri

CLASSES = [f"class{number}" for number in range(40)]


def spread(first: int) -> dict[str, list[float]]:
    """Return probabilities that fall from one class on, round the circle."""
    mean = [0.5 * 0.5 ** ((number - first) % 40) for number in range(40)]
    return {"mean": mean, "low": mean, "high": mean}


def result(label: int) -> dict[str, Any]:
    image = [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]]
    rows = {"dnn/software/none": spread(20), "bnn/spintronic/per_read": spread(3)}
    entry = {"image": image, "label": label, "note": "clean", "rows": rows}
    return {"data": {"classes": CLASSES}, "examples": [entry]}


def test_few_classes_are_all_drawn():
    assert _drawn({"a": {"mean": [0.1] * 10}}, 10, 3) == list(range(10))


def test_of_many_classes_the_likeliest_and_the_true_one_are_drawn():
    rows = {"a": spread(3), "b": spread(20)}
    # Five of either network, likeliest first; the true class takes the place of the last.
    assert set(_drawn(rows, 40, None)) == {*range(3, 8), *range(20, 25)}
    with_truth = _drawn(rows, 40, 33)
    assert len(with_truth) == 10
    assert with_truth[-1] == 33
    assert {3, 20} == set(with_truth[:2])
    assert set(_drawn(rows, 40, 4)) == set(_drawn(rows, 40, None))
    assert _taken(spread(3), [4, 3])["mean"] == [0.25, 0.5]


def test_a_page_says_that_classes_are_left_out():
    (found,) = examples(result(33))
    assert found.title == "class33"
    assert "10 of 40 classes drawn" in found.verdict
    assert ">class33<" in found.svg
    assert ">class12<" not in found.svg


def test_pictures_keep_their_colours():
    colours = result(0)["examples"][0]["image"]
    for pixels, wanted in ((colours, colours), ([[0, 255]], [[[0] * 3, [255] * 3]])):
        png = b64decode(picture_uri(pixels).partition(",")[2])
        drawn = np.round(imread(io.BytesIO(png), format="png")[..., :3] * 255)
        assert drawn.astype(int).tolist() == wanted
