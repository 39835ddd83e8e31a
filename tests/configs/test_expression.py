"""An expression of a KPI is read into a small tree, or refused with its place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.expression import DEPTH_MAX, NODES_MAX, TEXT_MAX, Column, InGroup, names_read, read


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("where(decision == 1, where(label == 1, -500, 120), 0)", ("decision", "label")),
        (
            "values.amount * (decision == 0) * (label == 1)",
            ("values.amount", "decision", "label"),
        ),
        ("where(groups.sex == 'f', score, 0)", ("groups.sex", "score")),
        ("where('f' != groups.sex and 0.2 < score < 0.8, 1, 0)", ("groups.sex", "score")),
        ("  clip(log(exp(score)),\n  +0, max(1, 2, abs(-3)))  ", ("score",)),
        ("decision == label", ("decision", "label")),
    ],
)
def test_what_an_expression_reads_is_known(text: str, names: tuple[str, ...]) -> None:
    """By the names that stand in it, each once."""
    assert names_read(read(text)) == names


def test_trees_are_made_of_our_own_nodes() -> None:
    """The simplest of them."""
    assert read("score") == Column("score")
    assert read("groups.sex == 'f'") == InGroup("sex", "f")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is missing"),
        ("   \n ", "is missing"),
        ("1 + 1", "reads nothing of a prediction"),
        ("score +", "cannot be read: invalid syntax"),
        ("score\x00", "cannot be read"),
        ("score + decison", r"'decison' \(character 9\): .*Did you mean 'decision'\?"),
        ("(decision\n == amount)", r"'amount' \(character 15\): there is no 'amount'"),
        ("score == 'é' or scor > 1", "'é'"),
        ("where(groups.sex == 'é', scor, 1)", r"'scor' \(character 26\)"),
        ("values", r"such as values\.NAME"),
        ("values._amount", "have a dot"),
        ("score.real", "have a dot"),
        ("values.amount.real", "have a dot"),
        ("groups.sex + score", "compared with a text"),
        ("where(groups.sex < 'f', score, 1)", "only be compared by == or !="),
        ("where(groups.sex == 1, score, 1)", "only be compared by == or !="),
        ("where(groups.sex == groups.town, score, 1)", "only be compared by == or !="),
        ("where(groups.sex == '', score, 1)", "only be compared by == or !="),
        ("where(score == 'f', 1, 0)", "a text stands beside"),
        ("where(score, 1, 0)", r"'score' \(character 7\): a comparison is needed"),
        ("decision and label == 1", "a comparison is needed"),
        ("not score", "a comparison is needed"),
        ("where(label == 1, 1)", "where takes 3 arguments"),
        ("min(score)", "min takes 2 or more arguments"),
        ("round(score, 2)", "round takes 1 arguments"),
        ("clip(score, least=0, most=1)", "clip takes 3"),
        ("max(*score)", "max takes"),
        ("max(*score, 1)", "no part of the language"),
        ("wher(label == 1, 1, 0)", r"Did you mean 'where'\?"),
        ("abs", "is a function"),
        ("score ** 2", r"of operators there are \+ - \* /"),
        ("score // 2", "of operators"),
        ("score in (1, 2)", "of comparisons there are"),
        ("score is 1", "cannot be read|of comparisons there are"),
        ("~score", "write not"),
        ("True * score", "only numbers"),
        ("score * 1j", "only numbers"),
        ("score * 1e999", "too large"),
        ("score * 1" + "0" * 400, "too large"),
        ("score * '\\d'", "cannot be read"),
        ("[score]", "no part of the language"),
        ("lambda: score", "no part of the language"),
        ("(x := score)", "no part of the language"),
        ("f'{score}'", "no part of the language"),
        ("score if label == 1 else 0", "no part of the language"),
        ("__import__('os').system('true')", "of functions there are"),
        ("().__class__.__bases__[0].__subclasses__()", "of functions there are"),
        ("score[0]", "no part of the language"),
        ("score; label", "cannot be read"),
        ("score " + "+ score" * TEXT_MAX, f"at most {TEXT_MAX} characters"),
        ("score" + "+1" * (DEPTH_MAX + 1), f"{DEPTH_MAX} in one another"),
        ("max(score" + ",1" * NODES_MAX + ")", f"more than {NODES_MAX} parts|takes 2 or more"),
        ("(" * 300 + "score" + ")" * 300, "cannot be read"),
        ("-" * (TEXT_MAX - 5) + "score", "cannot be read|in one another"),
    ],
)
def test_what_is_no_part_of_the_language_is_refused_with_its_place(text: str, said: str) -> None:
    """Nothing of it is run, whatever it is."""
    with pytest.raises(ValueError, match=said):
        read(text)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """With the one error that says why."""
    with suppress(ValueError):
        assert names_read(read(text))


@given(
    st.lists(
        st.sampled_from(
            [
                "score",
                "decision",
                "values.a",
                "groups.g",
                "'x'",
                "1",
                "(",
                ")",
                ",",
                "+",
                "-",
                "==",
                "<",
                "and",
                "or",
                "not",
                "where(",
                "min(",
                ".",
                "lambda",
                ":",
                "[",
                "]",
                "*",
                "**",
            ]
        ),
        max_size=14,
    )
)
def test_any_words_of_the_language_are_read_or_refused(words: list[str]) -> None:
    """In whatever order they come."""
    with suppress(ValueError):
        assert names_read(read(" ".join(words)))
