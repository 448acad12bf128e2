"""Show the two plain programs beside each other, topic by topic."""
