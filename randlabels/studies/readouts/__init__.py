"""What several studies read off runs: curves, alignment, groups of networks, cells of tables."""
