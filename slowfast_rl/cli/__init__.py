"""Commands; the only layer that imports hydra."""
