"""A model made to speak: sampled as its recipe says, heard at each kept epoch, picked, and talked with."""
