"""The next action of a conversation: a message, a tool call, or several."""
