# SPDX-License-Identifier: Apache-2.0
import logging
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import registry
from components.digest import model_digest
from components.errors import InputError
from components.findings import Verdict
from components.records.passport import PASSPORT_FILE, Passport


def make_model(folder, text):
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_text(f"graph of {text}")
    (folder / "variables" / "variables.data").write_text(text * 100)
    return folder


class Shop:
    """A destination, and models by their name."""

    def __init__(self, root):
        self.root = root
        self.destination = root / "serving"

    def push(self, name):
        folder = self.root / "models" / name
        if not folder.exists():
            make_model(folder, name)
        passport = Passport(
            model_sha256=model_digest(folder), verdict=Verdict(), blessed_at="then"
        )
        return registry.publish(folder, self.destination, passport)

    def served(self):
        """Returns what a server would load: the largest version."""
        newest = self.destination / str(registry.versions(self.destination)[-1])
        return (newest / "saved_model.pb").read_text().removeprefix("graph of ")


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


class TestRollback:
    def test_the_model_before_is_served_again_as_the_newest_version(self, shop):
        good, bad = shop.push("good"), shop.push("bad")
        restored = registry.rollback(shop.destination)
        assert shop.served() == "good"
        assert int(restored.name) > int(bad.name) > int(good.name)
        passport = registry.verify(restored)
        assert passport.restored_from == int(good.name)
        assert passport.version == int(restored.name)
        assert not passport.withdrawn_at

    def test_nothing_is_deleted(self, shop):
        good, bad = shop.push("good"), shop.push("bad")
        registry.rollback(shop.destination)
        assert registry.verify(good)
        assert registry.verify(bad).withdrawn_at

    def test_a_withdrawn_model_is_not_pushed_again(self, shop):
        shop.push("good")
        shop.push("bad")
        registry.rollback(shop.destination)
        with pytest.raises(registry.ModelWithdrawnError, match="was withdrawn"):
            shop.push("bad")
        assert shop.served() == "good"

    def test_another_model_is_pushed_as_before(self, shop):
        shop.push("good")
        shop.push("bad")
        registry.rollback(shop.destination)
        shop.push("better")
        assert shop.served() == "better"

    def test_twice_goes_back_twice(self, shop):
        for name in ("first", "second", "third"):
            shop.push(name)
        registry.rollback(shop.destination)
        registry.rollback(shop.destination)
        assert shop.served() == "first"

    def test_what_was_served_before_a_restored_model_is_passed_over(self, shop):
        for name in ("first", "second", "third"):
            shop.push(name)
        registry.rollback(shop.destination)  # The second is served.
        shop.push("fourth")
        registry.rollback(shop.destination)
        assert shop.served() == "second"

    def test_a_named_version_comes_back(self, shop):
        first = shop.push("first")
        shop.push("second")
        shop.push("third")
        registry.rollback(shop.destination, to=int(first.name))
        assert shop.served() == "first"

    def test_a_withdrawn_model_that_is_named_may_be_pushed_again(self, shop):
        shop.push("good")
        bad = shop.push("bad")
        registry.rollback(shop.destination)
        registry.rollback(shop.destination, to=int(bad.name))
        assert shop.served() == "bad"
        assert not registry.verify(bad).withdrawn_at
        shop.push("bad")

    def test_a_damaged_version_is_passed_over(self, shop):
        shop.push("first")
        second = shop.push("second")
        shop.push("third")
        (second / "saved_model.pb").write_text("tampered")
        registry.rollback(shop.destination)
        assert shop.served() == "first"

    @pytest.mark.parametrize("passport", [None, "", "{"])
    def test_a_newest_version_that_was_not_pushed_or_damaged_is_covered(
        self, shop, caplog, passport
    ):
        good = shop.push("good")
        bad = shop.push("bad")
        (bad / PASSPORT_FILE).unlink()
        if passport is not None:
            (bad / PASSPORT_FILE).write_text(passport)
        with caplog.at_level(logging.WARNING):
            restored = registry.rollback(shop.destination)
        assert shop.served() == "good"
        assert registry.verify(restored).restored_from == int(good.name)
        assert "cannot be marked as withdrawn" in caplog.text

    def test_a_damaged_version_that_is_named_is_refused(self, shop):
        first = shop.push("first")
        shop.push("second")
        (first / "saved_model.pb").write_text("tampered")
        with pytest.raises(registry.ModelChangedError):
            registry.rollback(shop.destination, to=int(first.name))
        assert shop.served() == "second"
        assert not registry.verify(registry.latest(shop.destination)).withdrawn_at

    def test_the_same_model_pushed_twice_is_nothing_to_go_back_to(self, shop):
        first = shop.push("only")
        copy = shop.destination / str(int(first.name) + 1)
        shutil.copytree(first, copy)
        with pytest.raises(InputError, match="no version holds another"):
            registry.rollback(shop.destination)

    @pytest.mark.parametrize("names", [[], ["only"]])
    def test_nothing_to_go_back_to_is_said_and_changes_nothing(self, shop, names):
        for name in names:
            shop.push(name)
        before = registry.versions(shop.destination)
        with pytest.raises(InputError, match="go back to"):
            registry.rollback(shop.destination)
        assert registry.versions(shop.destination) == before
        for version in before:
            folder = shop.destination / str(version)
            assert not registry.verify(folder).withdrawn_at

    def test_a_version_that_does_not_exist_is_refused_with_those_that_do(self, shop):
        first = shop.push("first")
        second = shop.push("second")
        with pytest.raises(InputError, match=first.name):
            registry.rollback(shop.destination, to=7)
        with pytest.raises(InputError, match="that is the newest"):
            registry.rollback(shop.destination, to=int(second.name))

    def test_killed_on_the_way_it_finishes_when_run_again(self, shop, monkeypatch):
        shop.push("good")
        shop.push("bad")

        def killed(*arguments):
            raise KeyboardInterrupt

        with monkeypatch.context() as context:
            context.setattr("components.registry.upkeep.rename_to_next_version", killed)
            with pytest.raises(KeyboardInterrupt):
                registry.rollback(shop.destination)
        # Nobody may take the bad model for a baseline meanwhile.
        assert (
            "good" in (registry.latest(shop.destination) / "saved_model.pb").read_text()
        )
        registry.rollback(shop.destination)
        assert shop.served() == "good"


class TestLatest:
    def test_a_withdrawn_version_is_no_baseline(self, shop, caplog):
        good, bad = shop.push("good"), shop.push("bad")
        passport = registry.verify(bad)
        (bad / PASSPORT_FILE).write_text(
            passport.model_copy(update={"withdrawn_at": "now"}).model_dump_json()
        )
        with caplog.at_level(logging.WARNING):
            assert registry.latest(shop.destination) == good
        assert "withdrawn" in caplog.text


class TestPrune:
    def test_the_newest_stay(self, shop):
        folders = [shop.push(name) for name in "abcde"]
        removed = registry.prune(shop.destination, keep=2)
        assert removed == tuple(int(folder.name) for folder in folders[:3])
        assert registry.versions(shop.destination) == tuple(
            int(folder.name) for folder in folders[3:]
        )

    @pytest.mark.parametrize("keep", [3, 4, 100])
    def test_nothing_goes_where_there_are_no_more_than_that(self, shop, keep):
        for name in "abc":
            shop.push(name)
        assert registry.prune(shop.destination, keep) == ()

    def test_an_empty_destination_has_nothing_to_remove(self, shop):
        assert registry.prune(shop.destination, keep=1) == ()

    def test_keeping_none_is_refused(self, shop):
        with pytest.raises(ValueError, match="at least 1"):
            registry.prune(shop.destination, keep=0)

    def test_versions_of_others_are_left_alone(self, shop):
        foreign = make_model(shop.destination / "5", "foreign")
        garbled = make_model(shop.destination / "6", "garbled")
        (garbled / PASSPORT_FILE).write_text("{")
        for name in "abc":
            shop.push(name)
        assert len(registry.prune(shop.destination, keep=1)) == 2
        assert foreign.exists()
        assert garbled.exists()

    def test_something_to_go_back_to_stays(self, shop):
        for name in "abc":
            shop.push(name)
        registry.rollback(shop.destination)  # c is withdrawn, b is served again.
        assert registry.prune(shop.destination, keep=2) == ()
        registry.rollback(shop.destination)
        assert shop.served() == "a"
        registry.prune(shop.destination, keep=1)
        assert shop.served() == "a"
        assert len(registry.versions(shop.destination)) == 1

    @given(
        steps=st.lists(
            st.one_of(st.sampled_from("abcd"), st.just("back"), st.integers(1, 3)),
            max_size=12,
        )
    )
    @settings(max_examples=40, deadline=None)
    def test_whatever_happens_versions_grow_and_the_served_one_is_whole(
        self, tmp_path_factory, steps
    ):
        shop = Shop(tmp_path_factory.mktemp("shop"))
        newest = 0
        for step in steps:
            try:
                if step == "back":
                    registry.rollback(shop.destination)
                elif isinstance(step, int):
                    registry.prune(shop.destination, step)
                else:
                    shop.push(step)
            except InputError:
                continue
            versions = registry.versions(shop.destination)
            if not versions:
                continue
            assert versions[-1] >= newest
            newest = versions[-1]
            served = registry.verify(shop.destination / str(newest))
            assert not served.withdrawn_at
