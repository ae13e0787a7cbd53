"""Built-in environment: a weather tool that agents reach over MCP."""
