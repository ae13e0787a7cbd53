"""Log files without the secrets of a run."""

from __future__ import annotations

import logging
import threading

from nemo_gym.serving.redaction import RedactedFile, Redactor, log_redacted
from nemo_gym.wire.masking import remember_secrets
from nemo_gym.wire.safe_text import is_harmful


def test_a_file_that_was_written_to_is_closed_once_and_for_all(tmp_path):
    file = RedactedFile(tmp_path / "logs" / "server.log", Redactor(["sk-1"]))
    print("the key is sk-1", file=file)

    file.close()
    file.close()

    assert (tmp_path / "logs" / "server.log").read_text() == "the key is ****\n"


def test_what_is_known_to_be_secret_later_is_replaced_too():
    redactor = Redactor(['sk-"1"-first'])
    remember_secrets(["second-secret"])

    assert redactor.text('a sk-\\"1\\"-first b second-secret') == "a **** b ****"


def test_a_log_is_safe_to_be_read_on_a_terminal(capsys):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        log_redacted(Redactor(["sk-1"]))
        logging.getLogger("nemo_gym.test").warning("a \x1b[2J \u202e sk-1 %s", "\x9b31m")
    finally:
        root.handlers[:], root.level = before
    written = capsys.readouterr().err
    assert "WARNING a \N{REPLACEMENT CHARACTER}[2J" in written
    assert "sk-1" not in written
    assert not [character for character in written if is_harmful(character)]


def test_a_thread_that_still_prints_is_no_error(tmp_path):
    file = RedactedFile(tmp_path / "server.log", Redactor([]))
    file.close()

    late = threading.Thread(target=print, args=("late",), kwargs={"file": file, "flush": False})
    late.start()
    late.join()

    assert not (tmp_path / "server.log").exists()
