import pytest

from curate import registry
from curate.dedup import finds
from curate.errors import PluginError


def test_the_methods_are_known_by_name_and_say_what_they_are_for():
    assert {"exact", "minhash"} <= set(registry.names("dedups"))
    for name in ("exact", "minhash"):
        method = registry.get("dedups", name)
        assert method.name == name
        assert method.module == f"curate.dedup.{name}"
        assert method.summary.endswith(".")


def test_the_signature_is_the_configuration():
    model = registry.parameters(registry.get("dedups", "minhash"))
    resolved = registry.resolved(model.model_validate_json('{"threshold": 0.7}'))
    assert resolved == {
        "threshold": 0.7,
        "num_perm": 128,
        "shingle": 5,
        "unit": "word",
        "similarity": "jaccard",
        "recall": 0.99,
        "device": "cpu",
    }


def test_a_parameter_without_a_default_is_refused():
    def near(texts, *, threshold):
        """Near texts."""

    with pytest.raises(PluginError, match="'threshold' is not keyword-only, typed and defaulted"):
        finds(near)
