"""Doctor: checks whether an installation is as the rollout asks; each finding has its remedy."""
