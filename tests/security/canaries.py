"""Random words, each planted in one place, by which it is seen where things get to."""

from __future__ import annotations

import secrets


class Canaries:
    """Words by the place where each was planted; some are names, which an error may repeat."""

    def __init__(self) -> None:
        self._words: dict[str, str] = {}
        self.names: set[str] = set()

    def __len__(self) -> int:
        return len(self._words)

    def word(self, place: str) -> str:
        """The word of a place, a new one if nothing was planted there yet."""
        return self._words.setdefault(place, f"cn{secrets.token_hex(12)}")

    def name(self, place: str) -> str:
        """The word of a place that holds the name of something."""
        self.names.add(place)
        return self.word(place)

    def know(self, place: str, word: str) -> str:
        """Look out for a word that was made elsewhere; gives it back."""
        self._words[place] = word
        return word

    def found_in(self, data: bytes) -> set[str]:
        """The places whose words stand in some bytes."""
        return {place for place, word in self._words.items() if word.encode() in data}
