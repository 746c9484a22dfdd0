"""Images and labels: sources, random labels, disjoint splits, offline preparation."""
