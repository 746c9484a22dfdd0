"""What is read off the workdir of a run."""
