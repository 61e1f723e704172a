"""What each input contributed to one answer: Shapley values, exact for trees, sampled for any other model; pure."""
