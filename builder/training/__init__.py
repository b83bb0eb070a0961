"""Training: what a run changes as it goes, the loop, and what is kept of it."""
