"""Grid puzzles: find the rule of some pairs of grids and apply it to another grid."""
