"""What cannot be seen in a text, or turns what stands around it, is written as its code point."""

from __future__ import annotations

import pytest

from curate import chat
from curate.report import page, words


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x00b", "a⟨U+0000⟩b"),
        ("bell\x07", "bell⟨U+0007⟩"),
        ("\x1b[31m", "⟨U+001B⟩[31m"),
        ("\x85", "⟨U+0085⟩"),
        ("\u202eturned", "⟨U+202E⟩turned"),
        ("\u2066apart\u2069", "⟨U+2066⟩apart⟨U+2069⟩"),
        ("\ufffe", "⟨U+FFFE⟩"),
        ("line\n\ttab", "line\n\ttab"),
        ("👩\u200d👧 e\u0301", "👩\u200d👧 e\u0301"),
    ],
)
def test_what_hides_or_turns_others_is_shown(text, shown):
    assert chat.visible(text) == shown
    assert shown in chat.text_html(text)


def test_a_notebook_and_a_page_show_the_same():
    assert words.visible is chat.visible is page.visible
