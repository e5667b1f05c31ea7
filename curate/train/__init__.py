"""From a set to a fine-tuned model: rows to tokens, steps by a published recipe, a model that was heard to speak.

`sets` and `recipe` say what is trained on and how, `training` does the whole of it: `preparing` makes tokens
(`rows`) and writes the folder, `steps` are taken, epochs are kept and heard (`speech`), one is picked.
`model_folder`, `weights` and `checkpoints` read and write models and states, `budget` says what room they need.
`checks` looks a run over before, `report` shows it after; `targets` hands the same rows to other trainers.

A training folder holds all of it: `recipe.toml` (every value resolved), `tokens/` (ids and labels of every row, as
they are learned), `checkpoints/` (whole states, to go on from), `epochs/` (weights of the epochs that are kept),
`metrics.jsonl`, `generations/`, and `model/`, the one that was picked. torch, transformers, TRL and their kin are
imported inside functions here and by nothing else in the package.
"""
