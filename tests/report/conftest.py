"""A small job whose every number is known: records with the verdict, twin or quota that ends each of them."""

from __future__ import annotations

from collections import Counter

import polars as pl
import pytest

from curate.keys import draws
from curate.record import SCHEMA
from curate.record import records as make_records
from curate.tables import AMENDMENTS, DUPLICATES, EXCLUSIONS, INTAKE, LEDGER, PAIRS, PICKS, UNREADABLE, VERDICTS

LONG = "Rest the dough in the cold overnight. " * 40  # 1,520 characters
TEXT_RULES = pl.Schema({"too_short": pl.UInt32, "low_score": pl.Float64, "first_person": pl.String})
LIMITS = {"too_short": {"tasks": 3, "forum": 1200}, "low_score": {"forum": 10.0}}


def rows():
    """Records as mappings: what a record is, and under `end` what became of it."""
    forum = [
        {"source": "forum", "domain": f"d{n % 2}", "score": 20.0, "response": LONG + str(n)} for n in range(12)
    ]
    forum[0] |= {"response": "Too short."}
    forum[1] |= {"response": "Also short.", "score": 1.0}
    forum[2] |= {"score": None}
    forum[3] |= {"response": f"{LONG}In my view I think that it is done. {LONG}"}
    forum[4] |= {"end": ("excluded", "somebody")}
    forum[5] |= {"end": ("duplicate", "forum:6")}
    forum[7] |= {"end": ("kept", "test"), "license": "CC-BY-SA-4.0"}
    forum[8] |= {"end": ("not drawn", "quota forum is full")}
    forum[9] |= {"lang": "de"}
    for number, row in enumerate(forum):
        row["id"] = f"forum:{number}"
    tasks = [
        {"source": "tasks", "id": f"tasks:{n}", "response": "An answer.", "score": None, "domain": None}
        for n in range(6)
    ]
    tasks[0] |= {"response": None, "end": ("kept", "test")}
    return forum + tasks


def judge(row):
    """Evidence and reasons of a record under the rules on text."""
    length = None if row["response"] is None else len(row["response"])
    forum = row["source"] == "forum"
    reasons = []
    if length is not None and length < LIMITS["too_short"][row["source"]]:
        reasons.append("too_short")
    if forum and row["score"] is None:
        reasons.append("low_score:unknown")
    elif forum and row["score"] < 10:
        reasons.append("low_score")
    found = "I think" if "I think" in (row["response"] or "") else None
    reasons += ["first_person"] if found else []
    return {"too_short": length, "low_score": row["score"] if forum else None, "first_person": found}, reasons


def make(rows, *, unreadable=1):
    """All tables of a run over these records, and the facts beside them."""
    evidence, verdicts, measured, ledger, picks, duplicates, exclusions = [], [], [], [], [], [], []
    for row in sorted(rows, key=lambda row: row["id"]):
        id, source = row["id"], row["source"]
        found, reasons = judge(row)
        unknown = [reason.removesuffix(":unknown") for reason in reasons if reason.endswith(":unknown")]
        evidence.append({"id": id, "unknown": unknown} | found)
        verdicts.append({"id": id, "source": source, "reasons": reasons} | found)
        if not reasons:
            language = row.get("lang", "en")
            reasons = ["wrong_language"] if language != "en" else []
            measured.append({"id": id, "source": source, "reasons": reasons, "wrong_language": language})
        state, detail = row.get("end", ("kept", "train"))
        if state == "excluded":
            exclusions.append({"id": id, "entry": detail})
        elif reasons:
            state, detail = "rejected", ", ".join(reasons)
        elif state == "duplicate":
            duplicates.append(
                {"id": id, "kept_id": detail, "similarity": 0.9, "method": "minhash", "on": "response"}
            )
        else:
            drawn = {"split": detail} if state == "kept" else {"why": detail}
            quota = f"{source}-{detail}" if state == "kept" else "forum-train"
            picks.append({"id": id, "split": None, "why": None, "quota": quota, "rank": len(picks)} | drawn)
        ledger.append({"id": id, "source": source, "state": state, "detail": detail})
    tables = {
        "intake": frame(
            [intake(source, rows, unreadable) for source in sorted({r["source"] for r in rows})], INTAKE
        ),
        "unreadable": frame(
            [bad(number) for number in range(unreadable if any(row["source"] == "forum" for row in rows) else 0)],
            UNREADABLE,
        ),
        "amendments": frame([], AMENDMENTS),
        "records": records(rows),
        "evidence": frame(evidence, {"id": pl.String, "unknown": pl.List(pl.String), **TEXT_RULES}),
        "verdicts": frame(verdicts, {**VERDICTS, **TEXT_RULES}),
        "verdicts_measured": frame(measured, {**VERDICTS, "wrong_language": pl.String}),
        "exclusions": frame(exclusions, EXCLUSIONS),
        "pairs": frame([pair(row) for row in duplicates], PAIRS),
        "duplicates": frame(duplicates, DUPLICATES),
        "picks": frame(picks, PICKS),
        "ledger": frame(ledger, LEDGER),
    }
    return tables, facts(rows)


def frame(rows, schema):
    return pl.DataFrame(rows, schema=schema, orient="row").lazy()


def records(rows):
    own = ("id", "domain", "response", "score", "license", "prompt", "context", "history", "system")
    made = [{"prompt": "How long does dough rest?"} | {key: row[key] for key in own if key in row} for row in rows]
    for each, row in zip(made, rows, strict=True):
        each["license"] = each.get("license", "CC-BY-SA-3.0")
        url = row.get("url", f"https://example.org/{row['id']}")
        each["works"] = [{"part": "response", "url": url, "license": each["license"]}]
    plain = make_records(made)
    sources = pl.Series("source", [row["source"] for row in rows], dtype=pl.String)
    return plain.with_columns(sources, draws(plain["id"])).select(SCHEMA.names()).sort("id").lazy()


def intake(source, rows, unreadable):
    count = sum(row["source"] == source for row in rows)
    bad = unreadable if source == "forum" else 0
    return {
        "source": source,
        "input": f"{source}.jsonl",
        "native": count + 7 + bad,
        "used": count + 2,
        "passed_over": [{"cause": "no answer", "rows": 4}, {"cause": "a wiki page", "rows": 1}],
        "unreadable": bad,
        "read": count + 2,
        "repeated": 2,
        "superseded": 0,
        "records": count,
    }


def bad(number):
    return {
        "source": "forum",
        "file": "forum.jsonl",
        "position": 10 * number,
        "reason": "no JSON",
        "excerpt": '{"id": <b>\x00',
    }


def pair(row):
    first, second = sorted((row["id"], row["kept_id"]))
    return {"id_a": first, "id_b": second, "similarity": row["similarity"], "method": "minhash", "on": "response"}


def facts(rows):
    sources = sorted({row["source"] for row in rows})
    rule = {"of": "response", "measured": False, "sources": sources, "limit": dict.fromkeys(sources)}
    takes = Counter(row["source"] for row in rows)
    return {
        "name": "bread",
        "seed": 13,
        "format": 1,
        "versions": {"curate": "0.1", "polars": "2.1", "python": "3.11"},
        "command": "curate run bread.toml",
        "inputs": [
            {
                "source": s,
                "input": f"{s}.jsonl",
                "sha256": "ab" * 32,
                "bytes": 1234,
                "layouts": ["messages"],
                "origin": {"url": "https://example.org/<b>", "license": "CC0-1.0", "terms": "", "accepted": None},
            }
            for s in sources
        ],
        "rules": [
            rule
            | {"name": "too_short", "use": "too_short", "sense": "below", "limit": LIMITS["too_short"]}
            | {"summary": "Rejects text with too few characters."},
            rule
            | {
                "name": "low_score",
                "use": "low_score",
                "sense": "below",
                "limit": LIMITS["low_score"],
                "of": "score",
            }
            | {"summary": "Rejects what was not rated.", "sources": ["forum"]},
            rule | {"name": "first_person", "use": "first_person", "sense": "present", "summary": "Rejects an I."},
            rule
            | {"name": "wrong_language", "use": "wrong_language", "sense": "outside", "measured": True}
            | {"limit": {source: ["en"] for source in sources}, "summary": "Rejects other languages."},
        ],
        "quotas": [
            {
                "name": f"{source}-{split}",
                "from": source,
                "split": split,
                "take": takes[source] if split == "train" else None,
                "prefer": "score",
                "by": "domain" if split == "train" else None,
                "temperature": 3.0,
            }
            for source in sources
            for split in ("train", "test")
        ],
        "shortages": [],
        "dedup": [{"use": "minhash", "on": "response", "threshold": 0.8}],
        "exports": [{"file": "train.jsonl", "rows": 7, "sha256": "cd" * 32, "bytes": 56789}],
        "alerts": [],
    }


@pytest.fixture
def job():
    """Makes tables and facts of records; of the small job where none are given."""

    def of(given=None, **options):
        return make(rows() if given is None else given, **options)

    return of


@pytest.fixture
def bread():
    """The records of the small job."""
    return rows()
