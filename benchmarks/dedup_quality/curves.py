"""How well a score tells pairs that say the same from pairs that do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

RECALLS = (0.5, 0.8)
POINTS = 20  # of a curve that is kept


def curve(scores: ArrayLike, labels: ArrayLike, missed: int = 0) -> tuple[NDArray[np.float64], ...]:
    """Threshold, precision and recall, where each score that there is, from the highest, is the threshold.

    `missed` are pairs that say the same and have no score.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.bool_)
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(labels[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of equal scores, all are taken together
    return scores[order][last], found[last] / (last + 1), found[last] / max(1, labels.sum() + missed)


def told(scores: ArrayLike, labels: ArrayLike, missed: int = 0) -> dict[str, Any]:
    """The best F1, precision at two recalls, the average precision (the area below), and the curve itself."""
    thresholds, precision, recall = curve(scores, labels, missed)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    best = int(np.argmax(f1))
    steps = np.diff(recall, prepend=0.0)
    shown = np.unique(np.linspace(0, len(recall) - 1, POINTS).astype(int))
    at = {f"precision_at_{wanted}": at_recall(precision, recall, wanted) for wanted in RECALLS}
    return {
        "best_f1": round(float(f1[best]), 4),
        "at": round(float(thresholds[best]), 4),
        "precision": round(float(precision[best]), 4),
        "recall": round(float(recall[best]), 4),
        **at,
        "average_precision": round(float((precision * steps).sum()), 4),
        "curve": [
            [round(float(values[point]), 4) for values in (thresholds, precision, recall)] for point in shown
        ],
    }


def at_recall(precision: NDArray[np.float64], recall: NDArray[np.float64], wanted: float) -> float | None:
    """The best precision with so much recall or more; None where that is not reached below the lowest score."""
    reached = precision[recall >= wanted]
    return round(float(reached.max()), 4) if len(reached) else None


def table(rows: Sequence[tuple[str, dict[str, Any]]]) -> None:
    print(f"{'':40}{'best F1':>8}{'at':>8}{'P@R.5':>8}{'P@R.8':>8}{'AP':>8}")
    for name, found in rows:
        cells = [found["best_f1"], found["at"], *(found[f"precision_at_{wanted}"] for wanted in RECALLS)]
        line = "".join(
            "       –" if cell is None else f"{cell:8.3f}" for cell in [*cells, found["average_precision"]]
        )
        print(f"{name:40}{line}")
