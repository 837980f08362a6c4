"""Doctor: whether an installation is what the rollout asks for, each finding with its remedy."""
