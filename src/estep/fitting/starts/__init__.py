"""Where fits start: seeds, assignments of rows, whole models, and models perturbed."""

from estep.fitting.starts.begin import start_model

__all__ = ["start_model"]
