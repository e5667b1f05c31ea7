"""Rejects dialogues that name the maker of the model they were had with."""

import re
from typing import Final, Literal

from curate.api import Field, Verdict, present, rejects, text

_WORDS: Final = {
    "vicuna": ("openai", "chatgpt"),
    "koala": ("openai", "chatgpt", "gpt-3", "chadgpt", "gpt3", "chat-gpt", "open-ai", "open ai"),
}


@rejects
def vendor_words(
    *, of: Field = "conversation", published: Literal["vicuna", "koala"] = "vicuna", also: tuple[str, ...] = ()
) -> Verdict:
    """A dialogue in which OpenAI or ChatGPT is named, by the user or the assistant.

    Why: a model trained on it says that it is ChatGPT. Vicuna leaves out a conversation with "openai" or
    "chatgpt" in any turn, upper or lower case, also within a word (FastChat, fastchat/data/clean_sharegpt.py);
    Koala's list is longer (young-geng/koala_data_pipeline, process_chat_data.py: `published = "koala"`). Both
    lose honest talk about the company. `also` adds words. FastChat looks at raw HTML, links included; this
    rule reads the text that is trained on. The source `sharegpt` does it while reading only under
    `compat = true`.
    Rejects: I am ChatGPT, a language model.
    Rejects: See api.openai.com for the limits.
    Keeps: An open AI policy debate was held in the town hall.
    """
    words = (*_WORDS[published], *(word for word in also if word))
    return present(text(of), "(?i)" + "|".join(re.escape(word) for word in words))
