"""What a person sees of a run: the bar, the summary, the comparison. No computation."""
