"""langdetect as a measure of its own: for those who want it, and the same each time."""

import polars as pl

from curate import registry
from curate.measure.langdetect import langdetect
from curate.measure.language import language

TEXTS = {
    "en": "The kettle boils over when nobody watches it, and the cat pretends not to notice.",
    "fr": "La bouilloire déborde quand personne ne la surveille, et le chat fait semblant de rien.",
    "ru": "Чайник выкипает, когда никто не смотрит, а кошка делает вид, что не замечает.",
    "zh": "没有人看着的时候水壶会烧干而猫假装没有看见",
}


def test_it_is_found_by_its_name():
    assert registry.get("measures", "langdetect") is langdetect


def test_it_tells_the_language_of_sentences():
    assert langdetect(list(TEXTS.values()))["language"].to_list() == list(TEXTS)


def test_fewer_than_thirty_letters_say_nothing():
    assert langdetect(["Bread keeps better in cloth."]).row(0) == (None, None)


def test_a_text_says_the_same_alone_and_in_another_order():
    texts = [*TEXTS.values(), "", "Sake, ramen, kimono, geisha, tsunami, karaoke."]
    together = langdetect(texts).rows()
    assert [langdetect([text]).row(0) for text in texts] == together
    assert langdetect(texts[::-1]).rows() == together[::-1]


def test_it_can_stand_in_for_the_language_measure():
    assert langdetect([""]).schema == pl.Schema(langdetect.schema) == pl.Schema(language.schema)
