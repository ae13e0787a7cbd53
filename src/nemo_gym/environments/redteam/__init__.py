"""The red team: do known reward hacks pay in an environment?"""
