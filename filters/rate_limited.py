"""Rejects responses that are a notice of the server instead of an answer."""

import re
from typing import Final

from curate.api import Field, Verdict, present, rejects, text

_NOTICES: Final = ("Too many requests in 1 hour. Try again later.",)


@rejects
def rate_limited(*, of: Field = "every_response", notices: tuple[str, ...] = _NOTICES) -> Verdict:
    """A response that begins with a notice of too many requests.

    Why: ChatGPT's page showed such notices in place of an answer. Vicuna leaves out a conversation with a
    reply that begins "Too many requests in 1 hour. Try again later.", also after an exclamation mark
    (FastChat, fastchat/data/clean_sharegpt.py). Here it may also begin a later paragraph, where the page put
    it when an answer broke off. The source `sharegpt` passes such conversations over while reading; this rule
    is for others.
    Rejects: Too many requests in 1 hour. Try again later.
    Rejects: !Too many requests in 1 hour. Try again later.
    Keeps: The server answers "Too many requests in 1 hour. Try again later." when the limit is reached.
    """
    wanted = [re.escape(notice) for notice in notices if notice]
    return present(text(of), rf"(?:\A|\n\n)\s*!?(?:{'|'.join(wanted)})" if wanted else r"[^\s\S]")
