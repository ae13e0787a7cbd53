"""Texts on which the instruction checkers are compared with published ones."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

PLAIN = [
    "The river is wide here. Boats cross it every hour, and children wave from the bridge.",
    "Dr. Smith met Mr. Jones at 5 p.m. on Jan. 5. They spoke about the U.S. economy. It was late!",
    "Is it true? Yes! It is, and nobody doubts it. Why would they?",
    "i walked to the market and bought bread. then i went home and slept for an hour.",
    "THE MARKET OPENS AT NINE. PEOPLE COME FROM ALL THE VILLAGES AROUND TO BUY FRESH FISH.",
    "My answer is yes.",
    "I think that my answer is no. My answer is no.",
    "The price rose by 3.5 percent, i.e. more than in 2019. Visit example.com for more.",
    "Well... maybe we should go. Wait... The train is here!",
    '"What a day!" she said. "Where shall we go now?" Nobody knew.',
    "NASA and ESA sent a probe to Mars. The BBC reported it, and so did CNN.",
    "One. Two. Three. Four. Five. Six. Seven. Eight. Nine. Ten.",
    "He said (quietly) that he was tired. [name] lives at [address], near [city name].",
    "No commas here and no full stop at the end",
    "Der Zug nach Hamburg fährt heute leider nicht, weil die Strecke gesperrt ist.",
    "El tren de la mañana llega siempre tarde, pero la gente espera con paciencia en la estación.",
    "Le petit marché du village ouvre tous les samedis et les enfants y achètent des bonbons.",
    "Il treno per Milano parte alle otto di mattina e arriva prima di mezzogiorno.",
    "Morgen gehen wir alle zusammen in den großen Wald und suchen dort Pilze.",
    "A short note about gardens: water them early, weed them often, and enjoy the quiet.",
    "Kafka wrote at night. Dickens wrote by day. Both wrote about offices and courts.",
    "Read pp. 12-14 first. Then skip to ch. 3, which explains the rest.",
    "12345",
    "J. R. Smith Jr. joined Acme Inc. in May. He left in June.",
]
SHAPED = [
    "* first point\n* second point\n* third point",
    "- one\n- two\n\n- three\n  - four",
    "Intro\n* **bold start** of a point\n** not a point\n*emphasis* at the start",
    "<<A Day at the Sea>>\n\nWe went to the sea. It was cold.",
    "<< >>\nNo title here. <<Half a title",
    "This has *one highlight* and **another one** and ***three stars***.",
    "Section 1\nThe plan.\n\nSection 2\nThe budget.\n\nSection 3: The end.",
    "SECTION 1 is short. SECTION2 is shorter.",
    "First part.\n***\nSecond part.\n***\nThird part.",
    "***\nFirst part. *** Second part.\n***",
    "First. ******\nSecond, which is another answer.",
    "Same.\n******\nSame.",
    "A.\n******\n\n******\nB.",
    "river: it flows\n\nmountain! it stands\n\n'Lake' is calm.",
    "River runs.\n\n\n\nMountain stands.\n\nLake is calm.",
    "The letter is done.\n\nP.S. Bring the keys.",
    "The letter is done.\np. s. bring the keys.\nP.P.S. And the map.",
    '{"name": "Ada", "age": 36, "tags": ["a", "b"]}',
    '```json\n{"name": "Ada"}\n```',
    "```\n[1, 2, 3]\n```",
    '{"name": "Ada",}',
    "{'name': 'Ada'}",
    '"The whole answer is in quotation marks."',
    '"Only the start is.',
    "Tell me about the river. It is long, wide and slow.",
    "tell me about the river.\nThe river is long. Any other questions?",
    "The river is long. Is there anything else I can help with?",
    'Done. "Any other questions?"',
    "",
    "   \n\n  ",
    "word " * 120,
    "Birds sing. " * 25,
    "[a] [b\n] [c] [[d] e]",
    "I'M SURE IT'S FINE. DON'T WORRY ABOUT THE X-RAY OF A.B.C. TODAY",
    "Paragraph one has words.\n\nParagraph two has words too, and more of them.\n\nParagraph three ends.",
    "e e e e E é ê ee; the letter e is everywhere, even here.",
    "The cat sat. The cat ran. The CAT slept. Concatenate the cats.",
]
TEXTS = PLAIN + SHAPED


def use_sentence_data() -> None:
    """Point nltk to the data that another installed package ships."""
    spec = importlib.util.find_spec("llama_index.core")
    assert spec is not None
    assert spec.origin is not None
    os.environ["NLTK_DATA"] = str(Path(spec.origin).parent / "_static" / "nltk_cache")
