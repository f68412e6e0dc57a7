# SPDX-License-Identifier: Apache-2.0
"""Maps the features of examples in files to the inputs of a model."""

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence

from components.errors import InputError
from components.guarded_trainer.config import ImageInput
from components.judging.data.class_labels import listed
from components.judging.data.facts import FeatureFacts, SplitFacts
from components.judging.data.feed import Feed, Part
from components.judging.data.feed import Pixels as Pixels
from components.judging.spec import InputSpec, ModelSpec


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What the user says of the features.

    Attributes:
      label: Name of the label.
      image: Feature with pictures; None finds it.
      pixels: Range of the pixels that the model is given.
      features: Numeric features of a model with one input, in its order; None takes
        all, in the order of the file.
      ignore: Features that are no inputs.
    """

    label: str
    image: str | None = None
    pixels: Pixels = "0..255"
    features: Sequence[str] | None = None
    ignore: Sequence[str] = ()


def plan(
    spec: ModelSpec, train: SplitFacts, evaluation: SplitFacts, wishes: Wishes
) -> tuple[Feed, Feed]:
    """Decides what each input of the model is made of, and checks that all have it.

    An input takes the feature of its name. A model with one input takes, if that is
    a picture, the feature with pictures; else the numeric features, in the order of
    the columns (of TFRecords, by name).

    Args:
      spec: The model's inputs.
      train: What is known of the training split.
      evaluation: What is known of the evaluation split.
      wishes: What the user says.

    Returns:
      How to feed the training and the evaluation split.

    Raises:
      InputError: If the data do not have what the model wants, or some rows lack it.
    """
    facts = train.features
    named = (*wishes.ignore, *(wishes.features or ()), *filter(None, [wishes.image]))
    for name in named:
        if name not in facts:
            raise _no_such(name, train, facts)
    no_input = {wishes.label, *wishes.ignore}
    known = {name: fact for name, fact in facts.items() if name not in no_input}
    if not known:
        raise InputError(
            f"{train.where}: expected features beside the label {wishes.label!r}, but "
            "there are none; give the inputs of the model, or ignore fewer"
        )
    image_key = wishes.image or _only_picture(known)
    if image_key is not None and not (
        image_key in known and known[image_key].is_picture
    ):
        raise InputError(
            f"{train.where}: expected encoded pictures (JPEG, PNG, BMP, GIF or WebP) "
            f"as {image_key!r}, but it holds none; name the feature with pictures"
        )
    parts: tuple[Part, ...] = ()
    if not spec.takes_examples:
        parts = tuple(
            _part(each, spec, known, image_key, wishes, train) for each in spec.inputs
        )
    used = {name for part in parts for name in part.features}
    used |= {image_key} if image_key else set()
    for split in (train, evaluation):
        for name in sorted(used):
            _check(split, name, train)
    feeds = [
        Feed(
            parts,
            image_key,
            {name: next(iter(f.kinds)) for name, f in split.features.items()},
            {name: f.max_values for name, f in split.features.items()},
            wishes.pixels,
        )
        for split in (train, evaluation)
    ]
    return feeds[0], feeds[1]


def _part(
    each: InputSpec,
    spec: ModelSpec,
    known: Mapping[str, FeatureFacts],
    image_key: str | None,
    wishes: Wishes,
    train: SplitFacts,
) -> Part:
    own = known.get(each.name)
    if _wants_picture(each) and not (own is not None and own.is_number):
        feature = each.name if own is not None and own.is_picture else image_key
        if feature is not None:
            return Part(each, (feature,), _image(each, known[feature], train))
    if own is not None and _fits(each, [own]):
        return Part(each, (own.name,))
    if len(spec.inputs) > 1:
        raise _no_feature_for(each, known, train)
    if each.dtype == "string":
        features = [fact for fact in known.values() if not fact.is_number]
    elif wishes.features is not None:
        features = [known[name] for name in wishes.features if name in known]
    else:
        features = [fact for fact in known.values() if fact.is_number]
    if not _fits(each, features):
        raise _other_features(each, features, known, train)
    return Part(each, tuple(fact.name for fact in features))


def _wants_picture(each: InputSpec) -> bool:
    return len(each.shape) == 3 and each.dtype != "string"


def _fits(each: InputSpec, features: Sequence[FeatureFacts]) -> bool:
    """Whether features have the type and the number of values that an input wants."""
    if not features:
        return False
    wants_text = each.dtype == "string"
    if any(fact.is_number == wants_text for fact in features):
        return False
    size = sum(fact.max_values for fact in features)
    if None in each.shape:
        return len(each.shape) == 1
    return size == math.prod(n for n in each.shape if n is not None)


def _image(each: InputSpec, fact: FeatureFacts, train: SplitFacts) -> ImageInput:
    height, width, channels = each.shape
    if channels not in (1, 3, None):
        raise InputError(
            f"model input {each.name!r}: expected pictures of shape (height, width, 1 "
            f"or 3), but the model wants {each.shape}; put channels last, and judge a "
            "model of other channels with `components.judge` on arrays"
        )
    if height is None or width is None:
        if len(fact.picture_sizes) != 1:
            raise InputError(
                f"{train.where}: expected pictures of one size, since model input "
                f"{each.name!r} of shape {each.shape} leaves it open, but feature "
                f"{fact.name!r} has several; resize the pictures as for training, or "
                "save the model with a fixed size"
            )
        ((height, width),) = fact.picture_sizes
    return ImageInput(
        feature=fact.name, height=height, width=width, channels=channels or 3
    )


def _only_picture(known: Mapping[str, FeatureFacts]) -> str | None:
    pictures = [fact.name for fact in known.values() if fact.is_picture]
    return pictures[0] if len(pictures) == 1 else None


def _check(split: SplitFacts, name: str, train: SplitFacts) -> None:
    """Refuses a feature that is not there, or not in the same form, in all rows."""
    fact, reference = split.features.get(name), train.features[name]
    if fact is None:
        raise InputError(
            f"{split.where}: expected the feature {name!r}, which the model is given, "
            f"but the columns are {listed(list(split.features))}; give both splits the "
            "same columns"
        )
    if fact.first_missing is not None:
        file, row = fact.first_missing
        raise InputError(
            f"{file}: expected a value of {name!r}, which the model is given, in each "
            f"row, but {split.num_rows - fact.num_present} of {split.num_rows} rows "
            f"have none (the first is row {row}); fill them in or drop them, or put "
            f"{name!r} under `ignore`"
        )
    if fact.first_ragged is not None or fact.max_values != reference.max_values:
        file, row = fact.first_ragged or (split.where, 0)
        raise InputError(
            f"{file}: expected {reference.max_values} values of {name!r} in each row, "
            f"but row {row} has another number ({fact.min_values} to "
            f"{fact.max_values}); pad or cut them to one length"
        )
    if len(fact.kinds) > 1 or fact.is_number != reference.is_number:
        kinds = " and ".join(sorted(fact.kinds | reference.kinds))
        raise InputError(
            f"{split.where}: expected one type of {name!r} everywhere, but it is "
            f"stored as {kinds}; write it as one type in both splits"
        )
    if fact.undecodable is not None:
        file, row, reason = fact.undecodable
        raise InputError(
            f"{file}: expected pictures as {name!r}, but that of row {row} cannot be "
            f"decoded ({reason}); mend it or leave it out"
        )


def _no_such(
    name: str, train: SplitFacts, facts: Mapping[str, FeatureFacts]
) -> InputError:
    nearest = difflib.get_close_matches(name, list(facts), n=1)
    way_out = f"did you mean {nearest[0]!r}?" if nearest else "correct the name"
    return InputError(
        f"{train.where}: expected a column {name!r}, but the columns are "
        f"{listed(list(facts))}; {way_out}"
    )


def _no_feature_for(
    each: InputSpec, known: Mapping[str, FeatureFacts], train: SplitFacts
) -> InputError:
    nearest = difflib.get_close_matches(each.name, list(known), n=1)
    way_out = (
        f"did you mean {nearest[0]!r}?"
        if nearest
        else "name the columns as the model's inputs"
    )
    own = known.get(each.name)
    came = (
        f"{_described(own)} is stored there"
        if own is not None
        else f"there is none among {listed(list(known))}"
    )
    return InputError(
        f"{train.where}: expected a column {each.name!r} for the model's input of that "
        f"name, {_wanted(each)}, but {came}; {way_out}"
    )


def _other_features(
    each: InputSpec,
    features: Sequence[FeatureFacts],
    known: Mapping[str, FeatureFacts],
    train: SplitFacts,
) -> InputError:
    kind = "text" if each.dtype == "string" else "numeric"
    names = [_described(fact) for fact in features]
    rest = [fact.name for fact in known.values() if fact not in features]
    beside = f" (beside {listed(rest)}, which are of another type)" if rest else ""
    size = sum(fact.max_values for fact in features)
    return InputError(
        f"{train.where}: expected the model's input {each.name!r}, {_wanted(each)}, "
        f"but the {kind} columns hold {size}: {', '.join(names[:20]) or 'none'}"
        f"{' ...' if names[20:] else ''}{beside}; put columns that are no inputs under "
        "`ignore`, or give the data that the model was trained on"
    )


def _wanted(each: InputSpec) -> str:
    return f"{each.dtype} of shape {each.shape} for each example"


def _described(fact: FeatureFacts) -> str:
    return fact.name if fact.max_values == 1 else f"{fact.name} ({fact.max_values})"
