"""How each error reads, and which exit code it ends with."""

import pickle

import pytest

from curate import errors
from curate.errors import (
    BusyError,
    CurateError,
    PipelineError,
    PluginError,
    ReproducibilityError,
    ShortageError,
    SourceError,
)

SNAPSHOTS = {
    CurateError: 1,
    PipelineError: 2,
    ShortageError: 2,
    SourceError: 3,
    PluginError: 4,
    ReproducibilityError: 5,
    BusyError: 5,
}


def test_every_error_class_is_in_this_test_and_in_the_tree_of_the_docstring():
    classes = {
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, CurateError)
    }
    assert classes == set(SNAPSHOTS)
    for kind in classes:
        assert f"{kind.__name__} " in errors.__doc__


@pytest.mark.parametrize("kind", SNAPSHOTS)
def test_an_error_says_what_where_and_what_next(kind):
    error = kind("the column is missing", where="a.jsonl, row 3", next="add it")
    assert str(error) == "the column is missing\n  where: a.jsonl, row 3\n  next:  add it"
    assert str(kind("the column is missing")) == "the column is missing"
    assert kind.exit_code == SNAPSHOTS[kind]


@pytest.mark.parametrize("kind", SNAPSHOTS)
def test_an_error_survives_the_way_from_a_worker(kind):
    error = kind("what", where="where", next="next")
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (kind, str(error))


def test_the_nearest_name_is_offered_or_else_all_of_them():
    assert errors.nearest("min_char", ["min_chars", "of"]) == "did you mean 'min_chars'?"
    assert errors.nearest("lima", ["lima-1k", "se-lima"]) == "did you mean 'lima-1k'?"
    assert errors.nearest("zzz", ["b", "a"]) == "valid names: a, b"
    assert errors.nearest("zzz", []) == "there are none"
