"""Rejects text with marks in it that only a model's template should hold."""

from typing import Final, Literal

from curate.api import Field, Verdict, present, prose, rejects

_NAMES: Final = (
    r"endoftext|startoftext|endofprompt|im_start|im_end|im_sep|begin_of_text|end_of_text|start_header_id|"
    r"end_header_id|eot_id|eom_id|python_tag|system|user|assistant|prompter|end|pad|eos|bos|sep"
)
_PATTERNS: Final = {
    "special_tokens": rf"<\|(?:{_NAMES})\|>|</s>|<(?:unk|pad|eos|bos|start_of_turn|end_of_turn)>|\[EOS\]",
    "llama": r"\[/?INST\]|<</?SYS>>",
    "headings": r"###[ ]?(?:Human|Assistant):|(?m:^[ \t]*###[ ]?(?:Instructions?|Response|User|System):)",
    "roles": r"(?m:^(?:USER|ASSISTANT|Human|User|Assistant|AI|GPT):[ \t]?)",
}
# Struck out, in HTML: what stands between is an instruction to nobody.
_STRUCK_OUT: Final = r"<s>[^<\[\n]+</s>"

Kind = Literal["special_tokens", "llama", "headings", "roles"]


@rejects
def template_markers(
    *, of: Field = "every_response", kinds: tuple[Kind, ...] = ("special_tokens", "llama", "headings")
) -> Verdict:
    """Text with special tokens or the marks of a prompt template in it, outside of code and quotations.

    Why: they are left over when a dialogue is cut wrongly out of what a model wrote, and teach the next model
    to write both parts. `special_tokens`: `<|endoftext|>`, `<|im_start|>`, `</s>` and their like. `llama`:
    `[INST]` and `<<SYS>>` (meta-llama/llama, llama/generation.py). `headings`: "### Instruction:" and "###
    Response:" (stanford_alpaca, train.py), "### Human:" and "### Assistant:" (FastChat,
    fastchat/conversation.py). `roles`, not among the defaults: "USER:", "Assistant:" and their like at the
    beginning of a line; a play or an interview has them too.
    Rejects: The answer is 4.</s>
    Rejects: It is done. ### Human: and now?<|im_end|>
    Keeps: The tokenizer ends each turn with `<|im_end|>`.
    Keeps: It costs <s>ten</s> eight coins.
    """
    subject = prose(of).str.replace_all(_STRUCK_OUT, " ")
    return present(subject, "|".join(_PATTERNS[kind] for kind in kinds))
