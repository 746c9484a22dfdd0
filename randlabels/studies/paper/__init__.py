"""Studies of the items of the paper: one module for each figure, table, appendix, proposition."""
