"""The conformance check: does an environment keep the promises that every environment makes?"""
