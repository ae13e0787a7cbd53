"""Write a function that uses several libraries and passes a suite of unit tests."""
