"""Write a program that passes hidden tests."""
