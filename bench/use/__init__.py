"""Use a trained classifier, without any framework."""
