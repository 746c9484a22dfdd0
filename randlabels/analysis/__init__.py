"""What reads a run: the inputs of its layers, alignment of its checkpoints, activity of units."""
