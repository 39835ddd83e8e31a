"""The files in examples/ do what they say."""

from __future__ import annotations

from pathlib import Path

from registry.cards import read_card
from serve.demo.train import card as demo_card

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_card_is_a_card() -> None:
    """The example card is accepted, and speaks the same vocabulary as the demo's."""
    card = read_card(EXAMPLES / "card.yaml")
    assert card.task == demo_card().task
    assert card.decision == demo_card().decision
    assert card.extra_inputs == ("race",)
