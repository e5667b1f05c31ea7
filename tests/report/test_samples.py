import json

from curate.keys import draws, mix, seed_for
from curate.report.numbers import numbers
from curate.report.samples import SHOWN, TURNS, WIDTH

HOSTILE = "</script><img src=x onerror=alert(1)>\x00\u202e\ud83d\ude00".encode("utf-16", "surrogatepass").decode(
    "utf-16"
)


def in_order_of_draws(ids):
    drawn = mix(draws(ids), seed_for(13, "report.examples"))
    return [id for _, id in sorted(zip(drawn, ids, strict=True))]


def test_kept_examples_are_drawn_by_id(job, bread):
    bread += [bread[14] | {"id": f"tasks:{n}"} for n in range(100, 160)]
    made = numbers(*job(bread))
    ids = [f"tasks:{n}" for n in (*range(6), *range(100, 160))] + [f"forum:{n}" for n in (6, 7, 10, 11)]
    assert [each["id"] for each in made["examples"]["kept"]] == in_order_of_draws(ids)[:SHOWN]
    assert {each["why"] for each in made["examples"]["kept"]} == {""}


def test_dropped_examples_are_spread_over_reasons(job, bread):
    bread += [bread[0] | {"id": f"forum:{n}"} for n in range(100, 160)]
    made = numbers(*job(bread))["examples"]["dropped"]
    assert len(made) == SHOWN
    whys = [each["why"] for each in made]
    assert set(whys) == {
        "duplicate",
        "excluded",
        "first_person",
        "low_score",
        "low_score:unknown",
        "not drawn",
        "too_short",
        "wrong_language",
    }
    # The others are of the one reason that has more.
    assert whys.count("too_short") >= SHOWN - 8
    assert len({each["id"] for each in made}) == SHOWN
    told = {each["why"]: (each["state"], each["detail"]) for each in made}
    assert told["duplicate"] == ("duplicate", "forum:6")
    assert told["not drawn"] == ("not drawn", "quota forum is full")
    assert told["low_score:unknown"] == ("rejected", "low_score:unknown")


def test_an_example_is_a_dialogue_with_its_last_turns(job, bread):
    turns = [{"role": ("user", "assistant")[n % 2], "text": f"turn {n}"} for n in range(20)]
    bread[14] |= {"history": turns, "system": "Be brief.", "context": "A cold kitchen.", "response": "y" * 5000}
    made = numbers(*job(bread))["examples"]["kept"]
    (each,) = [each for each in made if each["id"] == "tasks:2"]
    assert [turn["role"] for turn in each["turns"]] == ["system", *["user", "assistant"] * (TURNS // 2)]
    assert each["left_out"] == 22 - TURNS
    assert each["turns"][1]["text"]["text"] == "turn 14"
    assert each["turns"][-2]["text"]["text"] == "How long does dough rest?\n\nA cold kitchen."
    assert (len(each["turns"][-1]["text"]["text"]), each["turns"][-1]["text"]["cut_after"]) == (WIDTH, True)


def test_a_record_without_a_response_has_a_turn_without_text(job):
    made = numbers(*job())["examples"]["kept"]
    (each,) = [each for each in made if each["id"] == "tasks:0"]
    assert each["turns"][-1] == {"role": "assistant", "text": None}


def test_hostile_texts_come_through_as_they_are(job, bread):
    bread[14] |= {"prompt": HOSTILE, "response": HOSTILE}
    made = json.loads(json.dumps(numbers(*job(bread))["examples"]))
    (each,) = [each for each in made["kept"] if each["id"] == "tasks:2"]
    assert each["turns"][0]["text"]["text"] == HOSTILE


def test_a_job_without_records_has_no_examples(job):
    tables, facts = job([])
    facts["inputs"] = []
    assert numbers(tables, facts)["examples"] == {"kept": [], "dropped": []}
