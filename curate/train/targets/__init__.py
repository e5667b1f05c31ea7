"""Sets handed to other trainers: rows, configuration, and what these trainers do not do of a recipe."""
