"""Everything that speed.py compares, by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ceiling import training_flops
from comparison import Call, Comparison
from digits import Digits
from whole_process import ROOT

from builder import load_spec, make_plan

NET = "specs/net.yaml"
NETWORKS = {"notebook": "specs/notebook.yaml", "small": "benchmarks/small.yaml"}  # scripts, and specs of the same
CALLED = {"notebook": "the notebook's network", "small": "a network of 9,042 parameters"}
PRECISIONS = ("auto", "float32")


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured of everything."""

    batch_size: int
    warm_up: int  # steps
    steps: Mapping[str, int]  # by network
    passes: int  # over the data, by ours
    counted: int  # batches whose bytes are counted
    builds: int
    memory_steps: int
    memory_images: int  # of the test
    product: int  # rows and columns of a matrix
    fast_spec: str
    fast_overrides: Sequence[str] = ()
    enough: float  # accuracy


FULL = Sizes(
    batch_size=128,
    warm_up=3,
    steps={"notebook": 6, "small": 100},
    passes=5,
    counted=10,
    builds=20,
    memory_steps=3,
    memory_images=1000,
    product=2048,
    fast_spec="specs/records/fast99.yaml",
    enough=0.99,
)
QUICK = Sizes(
    batch_size=4,
    warm_up=1,
    steps={"notebook": 1, "small": 1},
    passes=1,
    counted=1,
    builds=1,
    memory_steps=1,
    memory_images=8,
    product=64,
    fast_spec="specs/tiny.yaml",
    fast_overrides=["training.epochs=1"],
    enough=0.0,
)


@dataclass(frozen=True)
class Setting:
    """On which images, how much, and how often."""

    digits: Digits
    sizes: Sizes
    rounds: int
    seeds: int = 1  # of ours, where the question is how long learning takes
    their_seeds: int = 1

    def calls(self, function: str, **arguments: Any) -> Sequence[Call]:
        """The same in every round."""
        return [Call(function, arguments)] * self.rounds

    def runs(self, function: str, *overrides: str, **arguments: Any) -> Sequence[Call]:
        """The same for a function of ours that trains."""
        batches = f"training.batch_size={self.sizes.batch_size}"
        return self.calls(function, overrides=[batches, *overrides], digits=self.digits, **arguments)

    def in_precisions(self, function: str, **arguments: Any) -> Mapping[str, Sequence[Call]]:
        """The same in each precision."""
        return {
            f"precision {name}": self.runs(function, f"training.precision={name}", **arguments) for name in PRECISIONS
        }

    def scripts(self, function: str, **arguments: Any) -> Sequence[Call]:
        """The same for a function of theirs that trains."""
        return self.calls(function, digits=self.digits, batch_size=self.sizes.batch_size, **arguments)


def train(setting: Setting, network: str) -> Comparison:
    """Images per second."""
    sizes = setting.sizes
    same = {
        "warm_up": sizes.warm_up,
        "steps": sizes.steps[network],
        "flops": training_flops(make_plan(load_spec(ROOT / NETWORKS[network]))),
        "product": sizes.product,
    }
    return Comparison(
        f"training {CALLED[network]}, batch {sizes.batch_size}",
        setting.scripts("theirs.train", network=network, **same),
        setting.in_precisions("ours.train", spec=NETWORKS[network], **same),
    )


def test(setting: Setting, network: str) -> Comparison:
    """All test images once."""
    return Comparison(
        f"testing {CALLED[network]}, all test images",
        setting.scripts("theirs.test", network=network),
        setting.in_precisions("ours.test", spec=NETWORKS[network]),
    )


def read(setting: Setting) -> Comparison:
    """All training images once, without a network."""
    counted, passes = setting.sizes.counted, setting.sizes.passes
    return Comparison(
        "one pass over the training images alone",
        setting.scripts("theirs.read", counted=counted),
        {"": setting.runs("ours.read", spec=NETWORKS["notebook"], counted=counted, times=passes)},
    )


def memory(setting: Setting) -> Comparison:
    """The peak of whole processes."""
    same = {"steps": setting.sizes.memory_steps, "test_images": setting.sizes.memory_images}
    return Comparison(
        f"peak of memory, training net.yaml with the script's optimizer, batch {setting.sizes.batch_size}",
        setting.scripts("theirs.memory", **same),
        {
            "": setting.runs(
                "ours.memory", "training.optimizer={sgd: {momentum: 0.9}}", "training.scheduler=null", spec=NET, **same
            )
        },
    )


def check(setting: Setting) -> Comparison:
    """Before anything is trained."""
    return Comparison(
        "`check` of net.yaml against importing torch, whole processes",
        setting.calls("whole_commands.import_torch"),
        {"": setting.calls("whole_commands.check")},
    )


def build(setting: Setting) -> Comparison:
    """The network alone, from its plan."""
    return Comparison(
        "building net.yaml's network",
        setting.calls("theirs.build", times=setting.sizes.builds),
        {"": setting.calls("ours.build", spec=NET, times=setting.sizes.builds)},
    )


def time_to_99(setting: Setting) -> Comparison:
    """From nothing to an accuracy; the rounds are seeds."""
    sizes = setting.sizes
    theirs = {"digits": setting.digits, "enough": sizes.enough}
    ours = {"spec": sizes.fast_spec, "overrides": sizes.fast_overrides, "digits": setting.digits}
    return Comparison(
        f"pytorch/examples from nothing to {sizes.enough:.1%} test accuracy; ours a whole run",
        [Call("theirs.reach", theirs | {"seed": seed + 1}) for seed in range(setting.their_seeds)],
        {"": [Call("ours.reach", ours | {"seed": seed + 1}) for seed in range(setting.seeds)]},
        is_mean=True,
    )


COMPARISONS: Mapping[str, Callable[[Setting], Comparison]] = {
    "train_notebook": partial(train, network="notebook"),
    "train_small": partial(train, network="small"),
    "read": read,
    "test_notebook": partial(test, network="notebook"),
    "test_small": partial(test, network="small"),
    "check": check,
    "build": build,
    "memory": memory,
    "time_to_99": time_to_99,
}
