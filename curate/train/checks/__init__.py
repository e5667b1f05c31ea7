"""A training run looked over before any weight is read, with every doubt that there is."""
