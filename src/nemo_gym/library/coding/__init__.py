"""Programs that are written or repaired."""
