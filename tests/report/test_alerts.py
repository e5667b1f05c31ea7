import pytest

from curate.report.numbers import numbers


def test_conflicts_of_licences_are_alerts(job, monkeypatch):
    said = "Two licences cannot be met at once."
    monkeypatch.setattr("curate.report.numbers.licensing", lambda *_: {"conflicts": [said]})
    assert said in numbers(*job())["alerts"]


@pytest.mark.parametrize(("times", "told"), [(1, False), (6, True)])
def test_a_policy_that_takes_more_than_a_fifth_is_an_alert(job, bread, times, told):
    bread += [bread[0] | {"id": f"forum:{number}"} for number in range(100, 100 + times - 1)]
    tables, facts = job(bread)
    facts["rules"][0]["use"] = "license_forbids"
    alerts = numbers(tables, facts)["alerts"]
    assert any("The policy on licences takes" in alert for alert in alerts) is told


def test_what_the_run_knows_besides_its_tables_is_passed_on(job):
    tables, facts = job()
    known = {"controls": {"n": 3}, "decisions": {"accepted": 1, "rejected": 2, "edited": 0, "unmet": 0}}
    made = numbers(tables, facts | known | {"pipeline_digest": "ab"})
    assert {key: made[key] for key in known} == known
    assert made["made_by"]["pipeline_digest"] == "ab"
    plain = numbers(tables, facts)
    assert (plain["controls"], plain["decisions"], plain["made_by"]["pipeline_digest"]) == (None, None, None)


def test_no_name_of_a_machine_is_in_the_numbers(job):
    import platform

    made_by = numbers(*job())["made_by"]
    assert made_by["python"] == platform.python_version()
    assert platform.node() not in made_by["platform"]
