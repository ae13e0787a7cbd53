"""Words of a text."""


def split_words(text: str) -> list[str]:
    """The words in lower case, without the punctuation around them."""
    words = [word.strip(".,;:!?").lower() for word in text.split()]
    return [word for word in words if word]


def count_words(text: str) -> dict[str, int]:
    """How often each word occurs."""
    counts: dict[str, int] = {}
    for word in split_words(text):
        counts[word] = counts.get(word, 0) + 1
    return counts


def most_frequent(text: str, n: int) -> list[str]:
    """The n most frequent words; equally frequent words are in the order of the alphabet."""
    counts = count_words(text)
    return sorted(counts, key=lambda word: (-counts[word], word))[:n]
