"""Rejects answers whose author says that it is a machine."""

from typing import Final

from curate.api import Field, Verdict, present, rejects, text

_EDGE: Final = r"(?-u:\b)"
_WHO: Final = r"as|being|(?:I|we)(?: am|['’]m| are|['’]re)|I was (?:made|designed|built|created) as"
_SIMPLY: Final = r"(?: (?:just|only|merely|simply|actually|still|not a (?:human|person)(?: being)?,? but))?"
# What stands between the article and the noun: "helpful", "text-based", "large".
_SUCH: Final = r"(?: (?:friendly|helpful|harmless|large|text-based|trained|virtual|AI|AI-based|AI-powered))*"
_MACHINE: Final = (
    r"(?:AI|A\.I\.|artificial intelligence|language[- ]model|LLM|chat ?bot|GPT|(?:virtual|digital)[- ]assistant|"
    r"(?:machine|deep)[- ]learning model|neural network|(?:AI )?text-based (?:AI|model))"
)


@rejects(languages=("en",))
def says_it_is_ai(*, of: Field = "every_response") -> Verdict:
    """An answer whose author says that it is an AI, a language model or a chatbot.

    Why: a model trained on such answers begins with a disclaimer where it could simply answer. Who speaks is
    told by the words before: "as an", "I am an". Where an answer plays a part that was asked for, the rule
    rejects it too.
    Rejects: As an AI language model, I have no favourite colour, but blue is popular.
    Rejects: I'm just a chatbot, so the weather does not matter to me.
    Keeps: An AI language model predicts the next word.
    Keeps: The shop sells an AI assistant that waters plants.
    """
    said = rf"(?i){_EDGE}(?:{_WHO}){_SIMPLY} an?{_SUCH} {_MACHINE}{_EDGE}"
    return present(text(of), said)
