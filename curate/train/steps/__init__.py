"""Steps of training: TRL's trainer with our order, states and optimizers, on one process or several."""
