"""The state machine of rollouts: what happens by itself, what people may ask for, who gets what."""

from __future__ import annotations

from serve.rollout.commands import Command, command
from serve.rollout.decide import decide
from serve.rollout.division import Division, division
from serve.rollout.moves import Move, Seen

__all__ = ["Command", "Division", "Move", "Seen", "command", "decide", "division"]
