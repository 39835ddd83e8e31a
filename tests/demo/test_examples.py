"""The files in examples/ do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path

from registry.cards import read_card
from serve.demo.data import FEATURES
from serve.demo.train import card as demo_card

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_example_card_is_a_card() -> None:
    """The example card is accepted, and speaks the same vocabulary as the demo's."""
    card = read_card(EXAMPLES / "card.yaml")
    assert card.task == demo_card().task
    assert card.decision == demo_card().decision
    assert card.extra_inputs == ("race",)


def test_the_example_client_sends_the_features_of_the_demo() -> None:
    """The example applicant has every feature of the demo's model, in the model's order."""
    client = runpy.run_path(str(EXAMPLES / "client.py"), run_name="example")
    assert tuple(client["APPLICANT"]) == FEATURES
