"""Plain values as YAML in block style: for the configurations that trainers and the Hugging Face hub read.

Texts are quoted as JSON quotes them wherever a reader could take them for something else: of YAML's two
versions, one reads `no` and `on` as booleans. Characters that JSON has as they are and YAML has not are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

# Letters first, and no mark that means something to YAML; what is a word of its own there is quoted.
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./<>+-]*(?: [A-Za-z0-9_./<>+-]+)*")
# DEL, C1 and what is no character may not stand in YAML; its version 1.1 folds U+0085, U+2028 and U+2029 into
# spaces, for they end lines, and takes U+FEFF for a mark of the encoding (yaml.org/spec/1.1, 4.1, 5.1 and 5.4).
_ESCAPED: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_WORDS: Final = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def yaml_text(value: dict[str, Any]) -> str:
    """A mapping of texts, numbers, lists and mappings as YAML."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    """The lines of a mapping or a list that is not empty."""
    if isinstance(value, dict):
        for key, item in value.items():
            if _nested(item):
                yield f"{_scalar(key)}:"
                yield from (f"  {line}" for line in _lines(item))
            else:
                yield f"{_scalar(key)}: {_scalar(item)}"
    else:
        for item in value:
            lines = list(_lines(item)) if _nested(item) else [_scalar(item)]
            yield f"- {lines[0]}"
            yield from (f"  {line}" for line in lines[1:])


def _nested(value: Any) -> bool:
    return isinstance(value, dict | list | tuple) and bool(value)


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    quoted = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, float) and "." not in quoted:
        # PyYAML, which reads YAML 1.1, takes 1e-05 for a text (yaml.org/type/float.html).
        return quoted.replace("e", ".0e")
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)
