"""What makes sandboxes, one folder each."""
