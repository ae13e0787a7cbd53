"""The conformance check: does an environment keep the promises every environment makes?"""
