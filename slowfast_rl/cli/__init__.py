"""Commands; the only floor that knows hydra."""
