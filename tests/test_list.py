"""Lists of what a pipeline can name, and all about one of them."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from curate.cli import cli
from curate.errors import PluginError


def shown(*arguments):
    result = CliRunner().invoke(cli, ["list", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_one_filter_is_shown_with_its_own_words_and_what_each_parameter_may_be():
    told = shown("filters", "refers_elsewhere")
    assert "LIMA drops answers that refer to other answers" in told
    assert "Rejects: The accepted answer is out of date." in told
    assert '  of = "response"   or "prompt", "context", ' in told


def test_a_choice_of_some_shows_those_that_are_not_chosen():
    assert '  kinds = ["lorem_ipsum"]   or "blanks"\n' in shown("filters", "placeholder_text")


def test_one_source_is_shown_with_lines_to_copy():
    told = shown("sources", "stackexchange")
    assert 'use = "stackexchange"\n     path = "dumps/*.7z"\n' in told
    assert "  min_score (not set)\n" in told
    assert "Raises " not in told


@pytest.mark.parametrize("what", ["filters", "sources", "measures", "dedups", "exports"])
def test_a_list_says_how_to_learn_more(what):
    assert shown(what).endswith(f"All about one of them: `curate list {what} NAME`.\n")


def test_a_name_that_is_none_is_answered_with_the_nearest():
    result = CliRunner().invoke(cli, ["list", "filters", "first_persn"])
    assert isinstance(result.exception, PluginError)
    assert "'first_person'" in result.exception.next


def test_a_preset_has_no_more_to_say():
    result = CliRunner().invoke(cli, ["list", "presets", "lima-1k"])
    assert result.exit_code == 2
    assert "presets have no more to say" in result.output
