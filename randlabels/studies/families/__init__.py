"""What studies of one kind share: their stages, their reading, their claims, figures and tables."""
