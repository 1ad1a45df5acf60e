"""How the hidden variable moves: independent draws (a mixture) or a Markov chain (a hidden Markov model)."""

from estep.latents.chain import Chain
from estep.latents.independent import Independent
from estep.latents.moving import Dense, Lowered, Moving
from estep.latents.topology import TOPOLOGIES

__all__ = ["TOPOLOGIES", "Chain", "Dense", "Independent", "Lowered", "Moving"]
