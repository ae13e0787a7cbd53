"""One of several like answers of a long conversation, word for word."""
