"""Files of settings with sections."""


def parse_settings(text: str) -> dict[str, dict[str, str]]:
    """The settings of each section; a later value of a key wins."""
    sections: dict[str, dict[str, str]] = {}
    current = ""
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1].strip()
            sections.setdefault(current, {})
            continue
        key, mark, value = line.partition("=")
        if not mark:
            raise ValueError(f"no setting: {line}")
        sections.setdefault(current, {})[key.strip()] = value.strip()
    return sections


def read_switch(text: str) -> bool:
    """The value of a switch."""
    if text.lower() in ("yes", "true", "on", "1"):
        return True
    if text.lower() in ("no", "false", "off", "0"):
        return False
    raise ValueError(f"no switch: {text}")


def overlay(base: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """The settings of both, where `other` wins; neither of them changes."""
    return {**base, **other}
