"""What a training folder shows to people: its page, and the card of the model."""
