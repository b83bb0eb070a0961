"""What other frameworks, and people used to them, call the things of a spec."""

from collections.abc import Container, Iterable, Mapping
from functools import cache

from builder.fields import ListOf
from builder.kinds import Kind, OneOf, parameters
from builder.recipe import Recipe

# Keys that mean the same; of several, the one that can stand where the word was found.
KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("filters", "num_filters", "channels", "out_planes"), ("out_channels",)),
    **dict.fromkeys(("units", "neurons", "num_units", "num_outputs", "out_dim"), ("out_features",)),
    **dict.fromkeys(("out", "outputs", "output"), ("out_channels", "out_features", "output_size")),
    **dict.fromkeys(("kernel", "kernel_shape", "pool_size", "ksize", "window"), ("kernel_size",)),
    **dict.fromkeys(("strides", "step"), ("stride",)),
    **dict.fromkeys(("pad", "pads"), ("padding",)),
    **dict.fromkeys(("dilation_rate", "dilations"), ("dilation",)),
    **dict.fromkeys(("num_groups", "group"), ("groups",)),
    **dict.fromkeys(("use_bias", "with_bias"), ("bias",)),
    **dict.fromkeys(("rate", "drop_rate", "prob", "probability"), ("p",)),
    **dict.fromkeys(("axis", "axes"), ("dim",)),
    "epsilon": ("eps",),
    **dict.fromkeys(("alpha", "slope"), ("negative_slope",)),
    **dict.fromkeys(("factor", "scale"), ("scale_factor",)),
    **dict.fromkeys(("learning_rate", "step_size", "eta"), ("lr",)),
    **dict.fromkeys(("wd", "l2", "decay"), ("weight_decay",)),
    **dict.fromkeys(("bs", "batch", "minibatch_size"), ("batch_size",)),
    **dict.fromkeys(("num_epochs", "max_epochs", "n_epochs"), ("epochs",)),
    **dict.fromkeys(("criterion", "objective"), ("loss",)),
    **dict.fromkeys(("data", "data_set"), ("dataset",)),
    **dict.fromkeys(("lr_scheduler", "lr_schedule", "schedule"), ("scheduler",)),
    **dict.fromkeys(("random_seed", "random_state"), ("seed",)),
    **dict.fromkeys(("gradient_clip", "gradient_clip_val", "grad_clip", "clip_grad", "clip_norm"), ("clip_grad_norm",)),
    **dict.fromkeys(("max_norm", "max_grad_norm", "clipnorm"), ("clip_grad_norm",)),
    **dict.fromkeys(("clip_value", "clipvalue"), ("clip_grad_value",)),
    **dict.fromkeys(("accumulate_grad_batches", "accumulation_steps", "grad_accum"), ("gradient_accumulation",)),
    "gradient_accumulation_steps": ("gradient_accumulation",),
    **dict.fromkeys(("transforms", "transform", "augment", "data_augmentation"), ("augmentations",)),
    **dict.fromkeys(("frozen", "freeze_layers", "frozen_layers"), ("freeze",)),
    **dict.fromkeys(("num_threads", "n_threads"), ("threads",)),
    **dict.fromkeys(("input_shape", "input_size", "image", "in_shape"), ("input",)),
    **dict.fromkeys(("model", "network", "net", "architecture", "backbone", "modules"), ("layers",)),
    **dict.fromkeys(("train", "trainer", "fit", "recipe"), ("training",)),
    **dict.fromkeys(("constants", "vars"), ("variables",)),
    **dict.fromkeys(("base", "inherits", "include"), ("extends",)),
}

# Kinds, by their letters and digits in lower case; of several, the one that can stand where the word was found.
KINDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("dense", "fc", "fullyconnected", "innerproduct"), ("linear",)),
    **dict.fromkeys(("depthwiseconv2d", "separableconv2d"), ("conv2d",)),
    **dict.fromkeys(("conv2dtranspose", "deconv", "deconv2d", "deconvolution"), ("conv_transpose2d",)),
    **dict.fromkeys(("globalaveragepooling2d", "globalavgpool2d", "globalavgpool", "gap"), ("adaptive_avg_pool2d",)),
    "globalaveragepooling": ("adaptive_avg_pool2d",),
    **dict.fromkeys(("globalmaxpooling2d", "globalmaxpool2d", "globalmaxpool"), ("adaptive_max_pool2d",)),
    **dict.fromkeys(("bn", "batchnormalization"), ("batch_norm2d",)),
    **dict.fromkeys(("lrelu", "leaky"), ("leaky_relu",)),
    "swish": ("silu",),
    "spatialdropout2d": ("dropout2d",),
    "reshape": ("unflatten",),
    **dict.fromkeys(("upsampling2d", "interpolate", "resize"), ("upsample",)),
    **dict.fromkeys(("concatenate", "cat"), ("concat",)),
    **dict.fromkeys(("skip", "resblock", "residualblock"), ("residual",)),
    **dict.fromkeys(("block", "stack", "series"), ("sequential",)),
    **dict.fromkeys(
        ("crossentropyloss", "categoricalcrossentropy", "sparsecategoricalcrossentropy"), ("cross_entropy",)
    ),
    **dict.fromkeys(("momentum", "nesterov", "gradientdescent"), ("sgd",)),
    **dict.fromkeys(("cosineannealing", "cosineannealinglr", "cosinedecay"), ("cosine",)),
    **dict.fromkeys(("cosineannealingwarmrestarts", "warmrestarts", "sgdr"), ("cosine_restarts",)),
    **dict.fromkeys(("plateau", "reducelronplateau"), ("reduce_on_plateau",)),
    **dict.fromkeys(("poly", "polynomialdecay"), ("polynomial",)),
    "exponentialdecay": ("exponential",),
    "affine": ("linear", "random_affine"),
    **dict.fromkeys(("rotate", "rotation", "rotations"), ("random_rotation",)),
    **dict.fromkeys(("translate", "translation", "shift"), ("random_translate",)),
    **dict.fromkeys(("crop", "randomresizedcrop"), ("random_crop",)),
    **dict.fromkeys(("flip", "hflip", "fliplr", "horizontalflip", "randomflip"), ("random_horizontal_flip",)),
    **dict.fromkeys(("vflip", "flipud", "verticalflip"), ("random_vertical_flip",)),
    **dict.fromkeys(("erasing", "erase", "randomerase"), ("random_erasing",)),
    **dict.fromkeys(("noise", "gaussnoise"), ("gaussian_noise",)),
    **dict.fromkeys(("brightness", "contrast", "jitter"), ("color_jitter",)),
    **dict.fromkeys(("exponentialmovingaverage", "movingaverage", "polyak"), ("ema",)),
    **dict.fromkeys(("stochasticweightaveraging", "weightaveraging"), ("swa",)),
    **dict.fromkeys(("he", "henormal", "kaiming"), ("kaiming_normal",)),
    "heuniform": ("kaiming_uniform",),
    **dict.fromkeys(("glorot", "glorotuniform", "xavier"), ("xavier_uniform",)),
    "glorotnormal": ("xavier_normal",),
    "truncatednormal": ("trunc_normal",),
}

_OWN_LAYER = "is a layer of its own: write it as the next item"
_OF_LAYERS = frozenset(("out_channels", "out_features"))
_OF_RECIPES = frozenset(("optimizer",))
_OF_OPTIMIZER = "it belongs to the optimizer: move it there"
# What is written elsewhere, and where; known by the keys that stand where it was found.
_ELSEWHERE: Mapping[str, tuple[frozenset[str], str]] = {
    **dict.fromkeys(("activation", "act", "nonlinearity"), (_OF_LAYERS, f"an activation {_OWN_LAYER}")),
    **dict.fromkeys(("batch_norm", "norm", "normalization", "use_bn"), (_OF_LAYERS, f"a norm {_OWN_LAYER}")),
    "dropout": (_OF_LAYERS, f"dropout {_OWN_LAYER}"),
    **dict.fromkeys(("lr", "learning_rate", "weight_decay", "momentum"), (_OF_RECIPES, _OF_OPTIMIZER)),
    # Other forms of value, too, so the word alone can't be replaced.
    **dict.fromkeys(("amp", "mixed_precision", "autocast", "fp16"), (_OF_RECIPES, "write `precision: auto`")),
    **dict.fromkeys(
        ("val", "val_split", "val_size", "validation_split", "validation_size"),
        (_OF_RECIPES, "write `validation: {size: ...}`, a number of images"),
    ),
    **dict.fromkeys(
        ("weight_init", "init", "init_weights", "initializer"),
        (_OF_RECIPES, "write `initialisation: {conv2d: ...}`, by kind of layer or by name"),
    ),
    "warmup_epochs": (_OF_RECIPES, "write `warmup: {epochs: ...}`"),
    "warmup_steps": (_OF_RECIPES, "write `warmup: {steps: ...}`"),
    "pretrained": (_OF_RECIPES, "write `start_from: ...`, the folder of a finished run"),
    "memory_format": (_OF_RECIPES, "write `channels_last: true`"),
    "label_smoothing": (_OF_RECIPES, "it belongs to the loss: move it to `cross_entropy`"),
}


def other_key(word: str, known: Container[str]) -> str:
    """The known key that a word of other frameworks means, or an empty text."""
    return next((key for key in KEYS.get(word.lower(), ()) if key in known), "")


def other_kind(word: str, known: Container[str]) -> str:
    """The known kind that a word of other frameworks means, or an empty text."""
    letters = "".join(char for char in word.rpartition(".")[2].lower() if char.isalnum())
    return next((kind for kind in KINDS.get(letters, ()) if kind in known), "")


def elsewhere(word: str, known: Iterable[str]) -> str:
    """Where a word belongs that means nothing beside the known keys, or an empty text."""
    known = set(known)
    if field := field_of_kind(word, known):
        family, form = _choices()[field]
        article = "an" if family.family.startswith(tuple("aeio")) else "a"
        return f"it is {article} {family.family}: write `{field}: {form.format(word)}`"
    beside, place = _ELSEWHERE.get(word.lower(), (frozenset(), ""))
    return place if beside & known else ""


def field_of_kind(word: str, known: Container[str]) -> str:
    """The known key of a recipe that chooses a kind of this name, or an empty text."""
    return next((key for key, (family, _) in _choices().items() if key in known and word in family.table), "")


@cache
def _choices() -> Mapping[str, tuple[type[Kind], str]]:
    """The keys of a recipe that choose a kind, or a list of them: from which family, and how one is written there."""
    found: dict[str, tuple[type[Kind], str]] = {}
    for field in parameters(Recipe):
        choice = getattr(field.type, "other", field.type)
        if isinstance(choice, OneOf):
            found[field.name] = (choice.family, "{{{}: ...}}")
        elif isinstance(choice, ListOf) and isinstance(choice.item, OneOf):
            found[field.name] = (choice.item.family, "[{}: ...]")
    return found
