"""Markov transitions on a flat vector: Hamiltonian dynamics, NUTS and HMC."""
