"""Shares of rows with plain defects, told from the text alone."""

from __future__ import annotations

import polars as pl

from curate.metrics.contract import metric
from curate.metrics.prepared import Chosen
from curate.metrics.shares import PROMPT, RESPONSE, share

_HIGHER = "worse"

# An answer of fewer words may end as it likes: "Paris", "Positive".
_SENTENCE = 12


@metric("Rows without a response", unit="share", kind="quality", higher=_HIGHER)
def unanswered(chosen: Chosen) -> float | None:
    """Share of rows without a response, or with one that is blank.

    Formula: rows whose response is null or white space alone / rows
    Source: ours; Alpaca has 28 such rows of 52,002
    """
    blank = chosen.rows["response"].fill_null("").str.strip_chars().str.len_bytes() == 0
    return Chosen.mean(blank)


@share("Responses of three words or fewer", kind="quality")
def very_short() -> pl.Expr:
    """Share of responses of one to three words: right where a label was asked for, and little to learn from.

    Formula: responses with one, two or three runs of what is no white space / responses
    Source: ours
    """
    return RESPONSE.str.strip_chars().str.contains(r"\A\S+(?:\s+\S+){0,2}\z")


@share("Responses that break off", kind="quality", higher=_HIGHER)
def truncated() -> pl.Expr:
    """Share of responses that end within a sentence, or within a block of code.

    Formula: responses whose last line has twelve words and more, is no item, heading, row of a table, list of
    words, formula, source of a quotation or label with its text, and ends with a word in lower case, a digit, a
    comma, a dash or an opening bracket; or with an odd number of code fences / responses
    Source: ours; read on Alpaca
    """
    last = RESPONSE.str.strip_chars().str.extract(r"([^\n]*)\z", 1)
    sentence = rf"\A(?:\S+\s+){{{_SENTENCE - 1},}}(?:[^\s\p{{Lu}}]\S*)?[\pL\pN,(\[—–-]\z"
    item = r"\A\s*(?:\d{1,3}[.)]|[-*•#|>])|://|[#@]\S+\z|\A[^.!?]{0,60}:|(?:,[^,.!?]{1,30}){4}\z|\A[^\pL]*\z|[=+]"
    quoted = r"[\"”],?\s*[(—–-]+[^\"”]{2,60}\z"
    fenced = RESPONSE.str.count_matches(r"(?m)^[ \t]*```") % 2 == 1
    return (last.str.contains(sentence) & ~last.str.contains(f"{item}|{quoted}")) | fenced


@share("Responses like a refusal", kind="quality", higher=_HIGHER)
def refusals() -> pl.Expr:
    """Share of responses that begin by refusing, in English, by a short list of openings.

    The filter `refuses` knows more of them, and what only looks like one; this is for comparing sets.

    Formula: responses that begin with I cannot, I can't, I am unable to, and help, answer, create, provide, …, or
    with I do not have access, perhaps behind sorry, unfortunately or as an AI … / responses
    Source: ours
    """
    sorry = r"(?:(?:I['’]?m|I am) (?:sorry|afraid)|sorry|I apologi[sz]e|unfortunately)[,.]?(?: but)?[,]? "
    who = r"(?:as an? [^.,\n]*(?:AI|model|assistant)[^.,\n]*, )?"
    lacks = r"do(?: not|n['’]t) have (?:access|the ability|enough)"
    unable = r"(?:am|['’]m|are|['’]re) (?:unable|not able|not allowed|not capable)"
    act = (
        r"(?:to |of |directly )*(?:access|answer|assist|brows|complet|compl[iy]|creat|determin|display|draw|edit|"
        r"do (?:that|this|so)|execut|fulfil|generat|help|perform|play|predict|process|produc|provid|respond|"
        r"support|translat|view|writ)"
    )
    cannot = rf"(?:I|we) ?(?:(?:cannot|can['’]?t|can not|{unable}) {act}|{lacks})"
    return RESPONSE.str.slice(0, 300).str.contains(rf"(?i)\A\W*(?:{sorry})?{who}{cannot}")


@share("Responses that say they are an AI's", kind="quality", higher=_HIGHER)
def says_ai() -> pl.Expr:
    """Share of responses that say their author is an AI, a language model or a chatbot.

    Formula: responses with I am an, or as an where a clause begins, and behind it AI, artificial intelligence,
    language model, chatbot or virtual assistant / responses
    Source: ours
    """
    machine = r"(?:AI|artificial intelligence|(?:large |AI )?language model|chat ?bot|virtual assistant)"
    who = r"(?:\A|[.!?,;(]\s*|\n\s*|\bbut )as|\bI am|\bI['’]m"
    return RESPONSE.str.contains(rf"(?i)(?:{who})(?: just| only)? an? {machine}(?:[\s,.;!)]|\z)")


@share("Responses that begin with the whole prompt", kind="quality", higher=_HIGHER)
def echoes() -> pl.Expr:
    """Share of responses that say the whole prompt before anything else.

    Formula: responses that begin with the whole prompt, of 20 characters or more / responses
    Source: ours
    """
    asked = PROMPT.str.strip_chars()
    return RESPONSE.str.strip_chars().str.starts_with(asked) & (asked.str.len_chars() >= 20)
