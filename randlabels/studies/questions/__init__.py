"""Studies of questions that the paper leaves open, or that its readers asked."""
