"""
Folding and expanding are each other's inverse, whatever the names.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.model.nodeset import expand, fold, natural_key

# Any character but those that `expand` reads: brackets, commas, white space at the ends.
anything = st.text(
    st.characters(exclude_characters="[],", exclude_categories=["Cs", "Z", "Cc"]), min_size=1
)
# Names as fleets have them: few texts, many numbers, with and without zeros.
numbers = st.one_of(
    st.integers(0, 130).map(str),
    st.integers(0, 130).map("{:02d}".format),
    st.integers(0, 130).map("{:03d}".format),
)
numbered = st.one_of(
    st.tuples(st.sampled_from(["web", "n", ""]), numbers).map("".join),
    st.tuples(st.just("r"), numbers, st.sampled_from(["-n", "."]), numbers).map("".join),
    st.tuples(st.just("a"), numbers, st.just("b"), numbers, st.just("c"), numbers).map("".join),
)
names = st.lists(st.one_of(numbered, anything), min_size=1, max_size=60)


@given(names)
@example(["0", "00", "000", "1", "01"])
@example(["n9", "n10", "n09", "n010", "n99", "n100"])
@example(["1" * 30, "9" * 18, "9" * 19])
@example(["a²1", "a²2", "٣1"])
def test_expanding_what_was_folded_gives_the_same_names(found):
    """
    No name is lost, none is added.
    """
    expanded = expand(fold(found))
    assert set(expanded) == set(found)
    assert len(expanded) == len(set(found))


@given(names, st.randoms())
def test_folding_does_not_depend_on_order_or_repetition(found, random):
    """
    The text is a function of the set of names.
    """
    shuffled = [*found, *found[: len(found) // 2]]
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(found)


@given(names)
def test_folding_again_changes_nothing(found):
    """
    Folding what a folded text stands for gives that text.
    """
    text = fold(found)
    assert fold(expand(text)) == text


@given(st.integers(0, 10**6), st.integers(0, 200), st.integers(1, 9), st.integers(1, 8))
def test_a_range_counts_as_python_does(first, length, step, width):
    """
    Both spellings give the numbers of a range whose end is included, padded to one width.
    """
    last = first + length
    start, end = f"{first:0{width}d}", f"{last:0{width}d}"
    expected = [f"x{number:0{width}d}" for number in range(first, last + 1, step)]
    assert expand(f"x[{start}-{end}/{step}]") == expected
    assert expand(f"x[{start}:{end}:{step}]") == expected


@given(st.text("web[]0123456789-:/,a ", max_size=30))
def test_any_text_is_expanded_or_explained(text):
    """
    There is no third outcome, and an explanation is one line.
    """
    try:
        found = expand(text)
    except ValueError as error:
        said = str(error)
    else:
        said = ""
        assert found
        assert all(found)
    assert "\n" not in said


@given(names)
def test_natural_order_is_an_order_of_all_names(found):
    """
    Any names can be compared, and different names have different keys.
    """
    assert len({natural_key(name) for name in found}) == len(set(found))
    assert sorted(set(found), key=natural_key) == sorted(sorted(set(found)), key=natural_key)


@pytest.mark.parametrize("size", [0, 1, 2])
def test_small_sets_need_no_brackets_of_one(size):
    """
    A bracket around one number would be noise.
    """
    found = [f"web{number * 5}" for number in range(size)]
    assert fold(found) == ["", "web0", "web[0,5]"][size]
