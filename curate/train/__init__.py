"""From a set to a fine-tuned model: rows to tokens, steps by a published recipe, a model that was heard to speak.

A training folder holds all of it: `recipe.toml` (every value resolved), `tokens/` (ids and labels of every row, as
they are learned), `checkpoints/` (whole states, to go on from), `epochs/` (weights of the epochs that are kept),
`metrics.jsonl`, `generations/`, and `model/`, the one that was picked. torch, transformers, TRL and their kin are
imported inside functions here and by nothing else in the package.
"""
