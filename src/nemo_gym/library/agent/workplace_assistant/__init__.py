"""Office work over email, calendar, web analytics, project tasks and customers."""
