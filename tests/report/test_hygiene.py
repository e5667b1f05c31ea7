import polars as pl

from curate.keys import draws, mix, seed_for
from curate.report.hygiene import EXAMPLES, LOOKED_FOR, WIDTH
from curate.report.numbers import numbers

ADDRESS = "maria.keller@uni-freiburg.de"
HOSTILE = "<script>alert(1)</script>\x00\u202e𝔘" * 30


def found(made):
    return {row["name"]: row["records"] for row in made["hygiene"]["rows"] if row["records"]}


def test_what_is_found_in_kept_records_is_counted_and_quoted(job, bread):
    bread[14] |= {"response": f"{HOSTILE} Write to {ADDRESS}, {ADDRESS}. {HOSTILE}"}
    bread[15] |= {"response": "I'm sorry, but I cannot help with that request."}
    bread[0] |= {"response": "Ring +44 1273 475 433."}  # rejected as too short
    made = numbers(*job(bread))
    assert found(made) == {"email_address": 1, "refuses": 1}
    assert made["hygiene"]["n"] == 10
    assert [row["name"] for row in made["hygiene"]["rows"]] == list(LOOKED_FOR)
    row = made["hygiene"]["rows"][0]
    assert (row["kind"], row["share"]) == ("personal data", 0.1)
    (example,) = row["examples"]
    assert example["id"] == "tasks:2"
    assert example["text"]["text"][slice(*example["text"]["match"])] == ADDRESS
    assert len(example["text"]["text"]) == WIDTH
    assert "Kept records hold personal data or secrets: e-mail addresses (1)." in made["alerts"]


def test_earlier_turns_are_looked_at_too(job, bread):
    bread[14] |= {"history": [{"role": "user", "text": f"Mine is {ADDRESS}."}]}
    assert found(numbers(*job(bread))) == {"email_address": 1}


def test_examples_are_drawn_by_id(job, bread):
    more = [bread[14] | {"id": f"tasks:{n}", "response": f"Write to {ADDRESS}"} for n in range(100, 140)]
    made = numbers(*job(bread + more))
    ids = pl.Series([row["id"] for row in more])
    drawn = mix(draws(ids), seed_for(13, "report.hygiene"))
    first = ids.gather(drawn.arg_sort()).head(EXAMPLES).to_list()
    assert [each["id"] for each in made["hygiene"]["rows"][0]["examples"]] == first


def test_refusals_are_an_alert_where_they_are_many(job, bread):
    no = {"response": "I'm sorry, but I cannot help with that request.", "end": ("kept", "train")}
    bread[13:16] = [row | no for row in bread[13:16]]
    alerts = numbers(*job(bread))["alerts"]
    told = "Kept records refuse their task, or tell of the model that wrote them: refusals (3)."
    assert told in alerts
    bread[13] |= {"response": "An answer."}
    assert told not in numbers(*job(bread))["alerts"]


def test_a_set_without_records_has_nothing_in_it(job, bread):
    made = numbers(*job([row | {"end": ("not drawn", "no quota takes it")} for row in bread]))
    assert made["hygiene"]["n"] == 0
    assert {row["share"] for row in made["hygiene"]["rows"]} == {None}
