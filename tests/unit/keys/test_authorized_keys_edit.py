"""
Keys go in and out of an authorized_keys file, and nothing else in it changes.
"""

from __future__ import annotations

import base64
import random
import time

import pytest

from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    KeyConflict,
    KeyOption,
    ServerVersion,
    add_keys,
    block_names,
    liveness,
    parse,
    remove_keys,
    set_block,
    set_exact,
)

NO_PTY = (KeyOption("no-pty"),)
AUTHORITY = (KeyOption("cert-authority"),)


def key(number, comment="", options=()):
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32, "big")
    return AuthorizedKey("ssh-ed25519", blob, comment, tuple(options))


def line(number, comment="", options=()):
    return key(number, comment, options).render().decode()


def text(data):
    return parse(data.encode("utf-8", "surrogateescape"))


def added(data, *wanted, **options):
    edit = add_keys(text(data), wanted, **options)
    return edit.data.decode("utf-8", "surrogateescape")


class TestAdd:
    """add_keys"""

    def test_a_new_key_is_the_last_line(self):
        """
        What is there stays as it is, whatever it is.
        """
        before = f"# team\r\n\n  {line(1)}\nhello \udcff\n"
        assert added(before, key(2, "bob")) == f"{before}{line(2, 'bob')}\n"

    def test_an_absent_file_gets_the_key_alone(self):
        """
        Without a file the key is all there is.
        """
        edit = add_keys(parse(None), [key(1, "alice")])
        assert edit.data == key(1, "alice").render() + b"\n"
        assert edit.added == (key(1, "alice"),)
        assert edit.changed

    def test_F66_a_missing_final_newline_is_put_there_first(self):
        """
        The new key does not become the comment of the last one.
        """
        assert added(line(1, "alice"), key(2)).startswith(line(1, "alice") + "\n" + line(2))

    def test_F66_a_file_of_windows_keeps_its_line_ends(self):
        """
        New lines end as the others do.
        """
        assert added(f"{line(1)}\r\n{line(3)}\r\n", key(2)).endswith(f"{line(2)}\r\n")
        assert added(f"{line(1)}\r\n{line(3)}", key(2)).count("\r\n") == 3

    def test_the_same_key_is_left_alone(self):
        """
        Comment, spacing and order of options are no difference.
        """
        both = (KeyOption("restrict"), KeyOption("pty"))
        before = f"pty,restrict   {line(1, 'somebody else')}   \n"
        edit = add_keys(text(before), [key(1, "alice", both)])
        assert edit.data == before.encode()
        assert not edit.changed
        assert edit.unchanged == (key(1, "alice", both),)

    def test_a_key_with_other_options_is_refused_with_a_diff(self):
        """
        By default nobody's restrictions are changed by accident; the difference is shown.
        """
        before = f"# x\n{line(1, 'alice', NO_PTY)}\n"
        with pytest.raises(KeyConflict) as caught:
            add_keys(text(before), [key(1, "alice"), key(2)])
        assert str(caught.value) == "line 2: the key is there with other options"
        assert [found.number for found in caught.value.lines] == [2]
        assert caught.value.diff.splitlines()[3:] == [
            " # x",
            f"-{line(1, 'alice', NO_PTY)}",
            f"+{line(1, 'alice')}",
            f"+{line(2)}",
        ]

    def test_a_key_with_other_options_can_be_kept(self):
        """
        Then the line stays, and the edit says so.
        """
        before = f"{line(1, 'alice', NO_PTY)}\n"
        edit = add_keys(text(before), [key(1)], on_other_options="keep")
        assert edit.data == before.encode()
        assert [(one.line.number, one.key) for one in edit.kept] == [(1, key(1))]

    def test_a_key_with_other_options_can_be_replaced_in_its_place(self):
        """
        Never two lines of one key: the first becomes the wanted one, the others go.
        """
        before = f"{line(1, '', NO_PTY)}\r\n# x\r\n{line(1)}\r\n{line(2)}\r\n"
        edit = add_keys(text(before), [key(1, "alice")], on_other_options="replace")
        assert edit.data.decode() == f"{line(1, 'alice')}\r\n# x\r\n{line(2)}\r\n"
        assert [one.line.number for one in edit.replaced] == [1]
        assert [one.number for one in edit.removed] == [3]

    def test_a_plain_line_behind_a_restricted_one_does_not_count(self):
        """
        Sshd takes the first, so that the key is there with other options.
        """
        before = f"{line(1, '', NO_PTY)}\n{line(1)}\n"
        with pytest.raises(KeyConflict):
            add_keys(text(before), [key(1)])

    def test_a_plain_line_behind_an_expired_one_counts(self):
        """
        With what `liveness` says, lines whose time is over do not stand in the way.
        """
        past = (KeyOption("expiry-time", "20200101"),)
        found = text(f"{line(1, '', past)}\n{line(1)}\n")
        states = liveness(found, at=1_800_000_000, utc_offset=0, server=ServerVersion())
        assert not add_keys(found, [key(1)], states=states).changed
        with pytest.raises(KeyConflict):
            add_keys(found, [key(1)])

    def test_what_is_wanted_as_it_is_there_is_left_alone_even_if_it_does_not_count(self):
        """
        A line whose time is over, wanted with that very time, is no conflict.
        """
        past = (KeyOption("expiry-time", "20200101"),)
        found = text(f"{line(1, '', past)}\n")
        states = liveness(found, at=1_800_000_000, utc_offset=0, server=ServerVersion())
        edit = add_keys(found, [key(1, "", past)], states=states)
        assert edit.unchanged == (key(1, "", past),)

    def test_a_dead_line_of_the_same_key_is_put_right(self):
        """
        Where only the form keeps sshd from reading it, the line is repaired in its place.
        """
        before = f"\ufeff{line(1, 'alice')}\n{line(2)}\n"
        edit = add_keys(text(before), [key(1, "alice")])
        assert edit.data.decode() == f"{line(1, 'alice')}\n{line(2)}\n"

    def test_a_dead_line_with_other_options_is_no_accident(self):
        """
        Somebody wanted to restrict the key, and misspelt it: that is asked about.
        """
        with pytest.raises(KeyConflict):
            add_keys(text(f"no_pty {line(1)}\n"), [key(1)])

    def test_a_commented_key_does_not_stand_in_the_way(self):
        """
        It lets nobody in, and stays.
        """
        assert added(f"#{line(1)}\n", key(1)) == f"#{line(1)}\n{line(1)}\n"

    def test_an_authority_and_a_key_are_two_things(self):
        """
        A line that makes the key an authority is another matter than one that lets it in.
        """
        before = f"{line(1, '', AUTHORITY)}\n"
        assert added(before, key(1)) == f"{before}{line(1)}\n"

    def test_one_key_wanted_twice_is_added_once(self):
        """
        Of two wishes with other options the first counts, as for sshd.
        """
        assert added("", key(1, "a"), key(1, "b", NO_PTY)) == f"{line(1, 'a')}\n"


class TestRemove:
    """remove_keys"""

    def test_all_lines_with_the_key_go(self):
        """
        Live and dead ones, whatever their options and comments; others stay byte for byte.
        """
        before = (
            f"{line(1)}\n# x\n no-pty {line(1, 'b')}\r\nwrong {line(1)}\n\ufeff{line(1)}\n"
            f"#{line(1)}\n{line(2)}"
        )
        edit = remove_keys(text(before), {key(1).blob})
        assert edit.data.decode() == f"# x\n#{line(1)}\n{line(2)}"
        assert [one.number for one in edit.removed] == [1, 3, 4, 5]

    def test_commented_lines_go_if_asked_for(self):
        """
        So that nobody brings the key back by taking a sign away.
        """
        edit = remove_keys(text(f"#{line(1)}\n{line(2)}\n"), {key(1).blob}, also_disabled=True)
        assert edit.data.decode() == f"{line(2)}\n"

    def test_an_authority_goes_too_unless_it_may_stay(self):
        """
        A key that is not trusted signs nothing either.
        """
        before = text(f"{line(1, '', AUTHORITY)}\n{line(1)}\n")
        assert remove_keys(before, {key(1).blob}).data == b""
        left = remove_keys(before, {key(1).blob}, also_authorities=False)
        assert left.data.decode() == f"{line(1, '', AUTHORITY)}\n"

    def test_what_is_not_there_changes_nothing(self):
        """
        Then the edit says so, and the bytes are the same.
        """
        before = f"{line(1)}"
        edit = remove_keys(text(before), {key(2).blob})
        assert (edit.data.decode(), edit.changed) == (before, False)

    @pytest.mark.parametrize(
        "before",
        [
            "",
            "# x",
            line(1),
            f"{line(1)}\n",
            f"{line(1)}\r\n{line(3)}",
            f"{line(1)}\r",
            "\n\n",
            "x \t",
        ],
    )
    def test_F66_taking_out_what_was_put_in_gives_the_original_bytes(self, before):
        """
        Deploy, then revoke: also where the final newline was missing.
        """
        edit = add_keys(text(before), [key(7, "a"), key(8), key(9, "", NO_PTY)])
        after = remove_keys(parse(edit.data), {key(n).blob for n in (7, 8, 9)})
        assert after.data.decode() == before

    def test_a_key_put_behind_ours_keeps_its_line(self):
        """
        Only where nothing follows the newline is taken away again.
        """
        middle = added(line(1), key(7)) + f"{line(2)}\n"
        after = remove_keys(text(middle), {key(7).blob})
        assert after.data.decode() == f"{line(1)}\n{line(2)}\n"


class TestExact:
    """set_exact"""

    def test_only_the_wanted_keys_are_left(self):
        """
        Others go, dead ones too; comments and commented keys stay; what is right is not touched.
        """
        before = (
            f"# team\n{line(1, 'old comment')}\n{line(2)}\nwrong {line(3)}\n#{line(4)}\n\nhello\n"
            f"{line(5, '', NO_PTY)}\n{line(1)}\n"
        )
        edit = set_exact(text(before), [key(1, "alice"), key(5), key(6)])
        assert edit.data.decode() == (
            f"# team\n{line(1, 'old comment')}\n#{line(4)}\n\nhello\n{line(5)}\n{line(6)}\n"
        )
        assert [one.number for one in edit.removed] == [3, 4, 9]
        assert not set_exact(parse(edit.data), [key(6), key(5), key(1)]).changed

    def test_of_several_lines_with_a_wanted_key_the_right_one_stays(self):
        """
        With its comment; those that sshd would take before it go.
        """
        before = f"{line(1, 'a', NO_PTY)}\nwrong {line(1)}\n{line(1, 'b')}\n{line(1, 'c')}\n"
        assert set_exact(text(before), [key(1)]).data.decode() == f"{line(1, 'b')}\n"


class TestBlock:
    """set_block"""

    def test_the_block_is_made_kept_changed_and_taken_away(self):
        """
        Only lines between the two comments are changed, ever.
        """
        before = f"# mine\r\n{line(1)}"
        made = set_block(text(before), "people", [key(2, "b"), key(3, "c")])
        shown = made.data.decode()
        assert "# BEGIN fleetctl people" in shown
        assert block_names(parse(made.data)) == ("people",)
        assert not set_block(parse(made.data), "people", [key(3), key(2)]).changed
        changed = set_block(parse(made.data), "people", [key(3, "c"), key(4, "d")])
        assert changed.data.decode() == shown.replace(f"{line(2, 'b')}\r\n", "").replace(
            f"{line(3, 'c')}\r\n", f"{line(3, 'c')}\r\n{line(4, 'd')}\r\n"
        )
        assert set_block(parse(changed.data), "people", []).data.decode() == before

    def test_a_line_of_the_block_that_somebody_broke_is_put_right(self):
        """
        Skipped by sshd, or with options that nobody asked for; and what does not belong goes.
        """
        right = f"# BEGIN fleetctl people\n{line(1)}\n{line(2)}\n# END fleetctl people\n"
        broken = right.replace(line(1), f"wrong {line(1)}\n# x").replace(
            line(2), line(2, "", NO_PTY)
        )
        edit = set_block(text(broken), "people", [key(1), key(2)])
        assert edit.data.decode() == right
        assert [one.line.number for one in edit.replaced] == [2, 4]
        broken = right.replace(line(1), f"\ufeff{line(1)}")
        assert set_block(text(broken), "people", [key(1), key(2)]).data.decode() == right

    def test_two_blocks_do_not_know_each_other(self):
        """
        Each has a name, and is found by it.
        """
        one = set_block(text(""), "people", [key(1)])
        both = set_block(parse(one.data), "ci", [key(2)])
        assert block_names(parse(both.data)) == ("people", "ci")
        assert set_block(parse(both.data), "ci", []).data == one.data

    def test_a_key_outside_with_the_same_options_is_not_doubled(self):
        """
        It lets in already.
        """
        edit = set_block(text(f"{line(1)}\n"), "people", [key(1, "alice")])
        assert not edit.changed

    def test_a_key_outside_with_other_options_is_asked_about(self):
        """
        It is refused, kept or taken out, as somebody says.
        """
        before = text(f"{line(1, '', NO_PTY)}\n")
        with pytest.raises(KeyConflict, match="line 1"):
            set_block(before, "people", [key(1)])
        assert not set_block(before, "people", [key(1)], on_other_options="keep").changed
        edit = set_block(before, "people", [key(1)], on_other_options="replace")
        assert edit.data.decode() == (
            f"# BEGIN fleetctl people\n{line(1)}\n# END fleetctl people\n"
        )

    @pytest.mark.parametrize(
        "before",
        [
            "# BEGIN fleetctl people\n",
            "# END fleetctl people\n# BEGIN fleetctl people\n",
            "# BEGIN fleetctl people\n# BEGIN fleetctl people\n# END fleetctl people\n",
        ],
    )
    def test_a_damaged_block_is_not_guessed_at(self, before):
        """
        Whose the lines behind half a block are, nobody can tell.
        """
        with pytest.raises(KeyConflict, match="do not stand once each"):
            set_block(text(before), "people", [key(1)])


def test_edits_of_ten_thousand_lines_take_no_time():
    """
    Each edit grows with the size of the file, not with its square.
    """
    numbers = list(range(10_000))
    random.Random(1).shuffle(numbers)
    before = text("".join(f"{line(n, f'c{n}')}\n" for n in numbers))
    wanted = [key(n) for n in range(5_000, 15_000)]
    begin = time.process_time()
    assert len(add_keys(before, wanted).added) == 5_000
    assert len(remove_keys(before, {one.blob for one in wanted}).removed) == 5_000
    assert len(set_exact(before, wanted).removed) == 5_000
    assert len(set_block(before, "x", wanted).added) == 5_000
    assert time.process_time() - begin < 10


def test_a_key_in_base64_that_no_one_else_writes_is_still_that_key():
    """
    Identity is the blob, not the text of it.
    """
    encoded = base64.b64encode(key(1).blob).decode()
    before = f"ssh-ed25519 {encoded[:20]}\r{encoded[20:]} alice\n"
    assert not add_keys(text(before), [key(1)]).changed
