import re

from nemoguardrails.actions import action


@action(is_system_action=True)
async def mask_numbers(text: str) -> str:
    return re.sub(r"\d{8,}", "<NUMBER>", text)
