"""The parts of a training run; ``trainer.py`` puts them together."""
