"""`nemo_gym.verifier_fixture` is `nemo_gym.compat.verifier_fixture`."""

from nemo_gym.compat.table import stand_in

stand_in(__name__)
