"""Model back ends: whatever answers, it answers as a Responses API object."""
