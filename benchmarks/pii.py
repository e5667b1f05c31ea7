"""Personal data that our rules find in sentences whose spans are known, beside other tools.

    pip install presidio-analyzer scrubadub datatrove
    CURATE_REAL_DATA=… python benchmarks/pii.py [--wrong]

The sentences are the 1,500 synthetic ones of presidio-research, `labels/pii_synth_1500.json`. A true span is found
where a span of its kind overlaps it; what overlaps none of its kind is wrong. Tools find as they do by default: of
presidio the recognizers without a model, of datatrove the patterns of `PIIFormatter`. A tool that is not installed
is left out. Tools name what they find by kind, so a card's number taken for a telephone's is wrong. Our
rules were tuned on what this listed; as first written their F1 was 92.0% on telephone numbers, 96.2% on cards and
100% on the rest, and later figures are no promise for other sentences. Writes `results/pii.json`.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import click
from curate.filters.card_number import card_number
from curate.filters.email_address import email_address
from curate.filters.ip_address import ip_address
from curate.filters.phone_number import phone_number

RESULTS = Path(__file__).parent / "results" / "pii.json"
KINDS: Final = ("EMAIL_ADDRESS", "PHONE_NUMBER", "IP_ADDRESS", "CREDIT_CARD")
MASK: Final = "\U0010fffd"  # in no text

Span = tuple[int, int]
Find = Callable[[str], Iterator[Span]]


def ours() -> dict[str, Find]:
    """Our rules, by what their masks take out."""
    rules = {
        "EMAIL_ADDRESS": email_address(mask_with=MASK),
        "PHONE_NUMBER": phone_number(mask_with=MASK),
        "IP_ADDRESS": ip_address(mask_with=MASK),
        "CREDIT_CARD": card_number(mask_with=MASK),
    }
    return {kind: _masked(rule.mask) for kind, rule in rules.items() if rule.mask}


def _masked(mask: Callable[[str], str]) -> Find:
    def find(text: str) -> Iterator[Span]:
        kept = [re.escape(piece) for piece in mask(text).split(MASK)]
        found = re.fullmatch("(.+?)".join(kept), text, re.DOTALL)
        yield from (found.span(group) for group in range(1, len(kept)) if found)

    return find


def presidio() -> dict[str, Find]:
    """The recognizers of presidio that need no model."""
    from presidio_analyzer import predefined_recognizers as recognizers

    every = {
        "EMAIL_ADDRESS": recognizers.EmailRecognizer(),
        "PHONE_NUMBER": recognizers.PhoneRecognizer(),
        "IP_ADDRESS": recognizers.IpRecognizer(),
        "CREDIT_CARD": recognizers.CreditCardRecognizer(),
    }

    def finder(kind: str) -> Find:
        return lambda text: ((each.start, each.end) for each in every[kind].analyze(text, [kind], None) or ())

    return {kind: finder(kind) for kind in every}


def scrubadub() -> dict[str, Find]:
    """The detectors of scrubadub that are on by default."""
    from scrubadub import Scrubber

    scrubber = Scrubber()
    names = {"EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "credit_card"}

    def finder(name: str) -> Find:
        return lambda text: ((each.beg, each.end) for each in scrubber.iter_filth(text) if name in _types(each))

    return {kind: finder(name) for kind, name in names.items()}


def _types(filth: Any) -> set[str]:
    return {filth.type, *(each.type for each in getattr(filth, "filths", ()))}


def datatrove() -> dict[str, Find]:
    """The patterns of datatrove's PIIFormatter, and its test of addresses."""
    from datatrove.pipeline.formatters.pii import PIIFormatter

    formatter = PIIFormatter()

    def finder(replacer: Any) -> Find:
        valid = replacer.validator or (lambda _: True)
        return lambda text: (each.span() for each in replacer.regex.finditer(text) if valid(each.group()))

    return {"EMAIL_ADDRESS": finder(formatter.emails_replacer), "IP_ADDRESS": finder(formatter.ip_replacer)}


PEERS: Final = {"presidio_analyzer": presidio, "scrubadub": scrubadub, "datatrove": datatrove}


def scored(sentences: list[dict[str, Any]], kind: str, find: Find) -> tuple[dict[str, Any], list[str]]:
    """Precision, recall and F1 of what finds a kind, and the wrong and missed spans with what is around them."""
    right = predicted = found = true = 0
    wrong = []
    for sentence in sentences:
        text = sentence["full_text"]
        gold = [
            (each["start_position"], each["end_position"])
            for each in sentence["spans"]
            if each["entity_type"] == kind
        ]
        spans = list(find(text))
        good = [span for span in spans if any(_overlap(span, each) for each in gold)]
        missed = [span for span in gold if not any(_overlap(span, each) for each in spans)]
        right, predicted = right + len(good), predicted + len(spans)
        found, true = found + len(gold) - len(missed), true + len(gold)
        wrong += [f"missed {_around(text, span)}" for span in missed]
        wrong += [f"wrong  {_around(text, span)}" for span in spans if span not in good]
    precision, recall = right / predicted if predicted else 0.0, found / true
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    shares = {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}
    return {"true": true, "found": found, "wrong": predicted - right, **shares}, wrong


def _overlap(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _around(text: str, span: Span) -> str:
    return repr(f"{text[max(0, span[0] - 30) : span[0]]}>>{text[slice(*span)]}<<{text[span[1] : span[1] + 15]}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "this checkout"


@click.command()
@click.option("--wrong", is_flag=True, help="List what our rules miss and what they find wrongly.")
def main(*, wrong: bool) -> None:
    """Score our rules and the tools that are installed."""
    file = Path(os.environ["CURATE_REAL_DATA"]) / "labels" / "pii_synth_1500.json"
    sentences = json.loads(file.read_text("utf-8"))
    tools = {"curate": ours()} | {name: peer() for name, peer in PEERS.items() if find_spec(name)}
    results: dict[str, Any] = {"command": "python benchmarks/pii.py", "sentences": len(sentences), "tools": {}}
    for tool, finds in tools.items():
        start = time.process_time()
        scores, faults = {}, []
        for kind in KINDS:
            if kind in finds:
                scores[kind], of_kind = scored(sentences, kind, finds[kind])
                faults += [f"    {kind}: {each}" for each in of_kind]
        results["tools"][tool] = {"version": _version(tool), "kinds": scores}
        print(f"{tool} ({time.process_time() - start:.1f} CPU-seconds)")
        for kind, score in scores.items():
            shares = ", ".join(f"{key} {score[key]:.1%}" for key in ("precision", "recall", "f1"))
            print(f"  {kind:<14}{shares}; {score['found']} of {score['true']} found, {score['wrong']} wrong")
        if wrong and tool == "curate":
            print("\n".join(faults))
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
