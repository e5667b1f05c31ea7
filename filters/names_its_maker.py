"""Rejects answers whose author gives the name of a model or of its maker as their own."""

from typing import Final

from curate.api import Field, Verdict, present, rejects, text

_MODELS: Final = (
    r"(?:chat[- ]?gpt|gpt-?(?:[0-9][\w.]*|j|neo)?|open ?assistant|bard|bing chat|claude|gemini|llama(?: ?[0-9])?|"
    r"alpaca|vicuna|koala|mistral|qwen|grok|copilot)"
)
_MAKERS: Final = (
    r"(?:open ?ai|anthropic|google(?: ai| deepmind)?|deepmind|meta(?: ai)?|microsoft|hugging ?face|lmsys|"
    r"large model systems organization|mistral ai|cohere|alibaba(?: cloud)?|baidu)"
)
_MADE: Final = (
    r"(?:created|made|developed|trained|built|designed|programmed|produced|released|provided|maintained)"
)
_BY: Final = r"(?:and \w+ )?(?:by|from|of)"
_TEAM: Final = r"(?:(?:the|a) (?:team|people|researchers) (?:at|of) )?"
_AFTER: Final = r"(?:,| and\b|[.!]|$| (?:a|an|by|from|developed|created|trained|made)\b)"

_PATTERN: Final = "|".join(
    (
        # A bard, a koala or an alpaca has an article before it; a name has none.
        rf"\b(?:I am|I['’]m|my name is|this is|I go by|you can call me) {_MODELS}{_AFTER}",
        rf"\b(?:I am|I['’]m|I was|as|being) an? [^.!?\n]*?\b(?:{_MADE}|model|assistant) {_BY} {_MAKERS}\b",
        rf"\b(?:I was|I am|I['’]m|I have been|I['’]ve been) {_MADE} {_BY} {_TEAM}{_MAKERS}\b",
        rf"\b{_MAKERS} (?:created|made|developed|trained|built|designed|programmed) me\b",
        rf"\bmy (?:creators?|developers?|makers?),? (?:is |are |at )?(?:the (?:team|people) at )?{_MAKERS}\b",
    )
)


@rejects(languages=("en",))
def names_its_maker(*, of: Field = "every_response") -> Verdict:
    """An answer whose author calls itself by a model's name, or names the firm that made it.

    Why: a model trained on it says that it is ChatGPT. `vendor_words` leaves out every dialogue in which the
    words stand, as Vicuna does (FastChat, fastchat/data/clean_sharegpt.py); this rule asks who speaks, and
    keeps honest talk about the firms. The names are those of assistants in common use.
    Rejects: I am ChatGPT, a language model.
    Rejects: I was created by OpenAI to answer questions.
    Keeps: ChatGPT was released by OpenAI in 2022.
    Keeps: I am a koala, and I sleep all day.
    """
    return present(text(of), "(?im)" + _PATTERN.replace(r"\b", r"(?-u:\b)"))
