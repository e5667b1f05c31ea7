"""The next token of an answer: a penalty on what was said, a temperature, the nucleus, and a draw of the record's
own.

transformers draws from the one generator that everything else draws from, so that an answer depends on its
neighbours in the batch and a resumed training run on what was generated meanwhile; and its repetition penalty
counts the prompt. Here each draw belongs to a seed, a record and a place in its answer, and nothing else is
touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from curate import keys
from curate.errors import CurateError

if TYPE_CHECKING:
    import torch

_USE: Final = "answers"  # of the seed
_LIKELY: Final = 1024  # tokens that hold all of a nucleus as a rule: to sort 128,256 takes 20 times as long


def uniforms(seed: int, id: str, start: int, count: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), one a token of a record's answer, from the token `start` on. Shape (count,)."""
    places = keys.draws(f"{id}\x00{place}" for place in range(start, start + count))
    return keys.shares(places, keys.seed_for(seed, _USE)).to_numpy()


class Sampler:
    """A logits processor that leaves one token to choose, drawn as by Holtzman et al. (arXiv 1904.09751, §3.1).

    Before the draw, scores of tokens that this answer has already are divided by the penalty where they are
    positive and multiplied by it elsewhere (Keskar et al., arXiv 1909.05858, §4.1); the prompt is not counted.
    Then they are divided by the temperature, and the fewest tokens whose mass is at least `top_p` stay. A
    temperature of 0 draws nothing: the likeliest token remains.

    `said` are the tokens that each row's answer has so far, and `numbers`, shape (rows, steps), the uniform number
    that each row's draw of a step is made with.
    """

    def __init__(
        self,
        said: Sequence[Sequence[int]],
        numbers: NDArray[np.float64],
        *,
        temperature: float,
        top_p: float,
        repetition_penalty: float,
    ) -> None:
        self.said, self.numbers = said, numbers
        self.temperature, self.top_p, self.penalty = temperature, top_p, repetition_penalty
        self.step = 0
        self._seen: torch.Tensor | None = None
        self._uniforms: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Scores with all but the drawn token at minus infinity. Shapes (rows, tokens), (rows, vocabulary)."""
        import torch

        if self._seen is None and torch.isnan(scores).any():
            raise CurateError(
                "the model's scores are not numbers", next="its weights are damaged: take another epoch"
            )
        scores = self._penalised(input_ids, scores)
        if self.temperature:
            drawn = self._drawn(scores)
            scores = torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)
        self.step += 1
        return scores

    def _penalised(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        if self._seen is None:
            self._seen = torch.zeros_like(scores, dtype=torch.bool)
            for row, ids in enumerate(self.said):
                self._seen[row, list(ids)] = True
        else:
            self._seen.scatter_(1, input_ids[:, -1:], value=True)
        penalised = torch.where(scores > 0, scores / self.penalty, scores * self.penalty)
        return torch.where(self._seen, penalised, scores)

    def _drawn(self, scores: torch.Tensor) -> torch.Tensor:
        """The token of each row whose share of the nucleus holds the row's number. Shape (rows, 1).

        Shares lie in the order of the vocabulary, not of likelihood: where two tokens are all but equally likely,
        their order is a matter of rounding, and so would be the draw.
        """
        import torch

        # Apple's devices have no numbers of 64 bits.
        wide = torch.float32 if scores.device.type == "mps" else torch.float64
        if self._uniforms is None:
            self._uniforms = torch.tensor(self.numbers, dtype=wide, device=scores.device)
        mass, tokens = self._nucleus(torch.softmax(scores.to(wide) / self.temperature, dim=-1))
        edges = mass.cumsum(-1)
        number = self._uniforms[:, self.step, None] * edges[:, -1:]
        below = torch.nextafter(edges[:, -1:], torch.zeros_like(number))
        place = torch.searchsorted(edges, torch.minimum(number, below), right=True)
        return tokens.gather(1, place)

    def _nucleus(self, mass: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mass of likely tokens, 0 outside the nucleus, and which they are, in the vocabulary's order."""
        import torch

        if self.top_p == 1:
            return mass, torch.arange(mass.shape[-1], device=mass.device).expand_as(mass)
        likeliest, tokens = torch.topk(mass, min(_LIKELY, mass.shape[-1]))
        if (likeliest.sum(-1) < self.top_p).any():
            likeliest, tokens = torch.sort(mass, dim=-1, descending=True, stable=True)
        outside = likeliest.cumsum(-1) - likeliest >= self.top_p
        tokens, order = tokens.sort(dim=-1)
        return likeliest.masked_fill(outside, 0.0).gather(1, order), tokens
