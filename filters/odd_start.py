"""Rejects instructions that begin with a punctuation mark or a character beyond ASCII."""

from __future__ import annotations

from typing import Final, Literal

from curate.api import Field, Verdict, present, rejects, text

_KINDS: Final = {"punctuation": r"[!-/:-@\[-`{-~]", "non_ascii": r"[^\x00-\x7F]"}

Kind = Literal["punctuation", "non_ascii"]


@rejects
def odd_start(*, of: Field = "prompt", kinds: tuple[Kind, ...] = ("punctuation", "non_ascii")) -> Verdict:
    """An instruction whose first character is a punctuation mark or beyond ASCII.

    Why: Self-Instruct and Alpaca drop them as broken off or not English (self_instruct/bootstrap_instructions.py
    in yizhongw/self-instruct; generate_instruction.py in tatsu-lab/stanford_alpaca). The marks are ASCII's 32.
    With `kinds = ["punctuation"]` other scripts pass; "¿Qué…?" is then kept too.
    Rejects: : list three colours of the rainbow
    Rejects: Übersetze den Satz.
    Keeps: 3 colours of the rainbow, please.
    """
    return present(text(of), rf"\A(?:{'|'.join(_KINDS[kind] for kind in kinds)})")
