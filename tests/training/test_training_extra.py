"""Without the extra `training` the import says what to install."""

from __future__ import annotations

import subprocess
import sys


def test_an_import_without_numpy_names_the_extra() -> None:
    program = "import sys; sys.modules['numpy'] = None; import nemo_gym.training"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    expected = "ModuleNotFoundError: nemo_gym.training needs numpy: pip install 'nemo-gym[training]'"
    assert done.stderr.splitlines()[-1] == expected
