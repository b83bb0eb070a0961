"""On what a benchmark ran."""

from importlib.metadata import version


def machine() -> dict[str, str]:
    """The processor, the threads that torch takes on its own, and versions."""
    import torch  # here, so that who starts other processes does without

    from builder.training.environment import environment, versions

    surroundings = environment(torch.device("cpu"), "")
    chosen = {name: surroundings[name] for name in ("processor", "threads")}
    return chosen | versions() | {"torchvision": version("torchvision")}
