"""Records to token ids and labels: what a model reads of each row, and what it learns of it."""
