"""`python -m nemo_gym` is the `gym` command."""

from nemo_gym.cli.main import main

main()
