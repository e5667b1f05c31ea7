"""Rejects text that begins with one of a list of phrases."""

from __future__ import annotations

import re

from curate.api import Field, Verdict, present, rejects, text


@rejects
def starts_with(*, of: Field = "prompt", prefixes: tuple[str, ...] = ("Write a program",)) -> Verdict:
    """Text that begins with one of `prefixes`, by default "Write a program", upper and lower case apart.

    Why: Self-Instruct and Alpaca drop instructions that begin so, because the model wrote too many that leave open
    what the program reads and prints (self_instruct/bootstrap_instructions.py in yizhongw/self-instruct;
    generate_instruction.py in tatsu-lab/stanford_alpaca). Self-Instruct capitalises an instruction first, so that
    it also dropped "write a Program"; Alpaca did not.
    Rejects: Write a program that sorts a list.
    Rejects: Write a programme for the village fair.
    Keeps: Please write a program that sorts a list.
    """
    wanted = [re.escape(prefix) for prefix in prefixes if prefix]
    return present(text(of), rf"\A(?:{'|'.join(wanted)})" if wanted else r"[^\s\S]")
