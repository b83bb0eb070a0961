"""How many bytes torch's operations move."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, ops
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# They read as much of their first argument as they write, wherever it lies there.
PICKING = (ops.aten.index_select, ops.aten.index, ops.aten.gather)


class Traffic(TorchDispatchMode):
    """While it lasts, counts the bytes that operations read and write, and those of the memory that they ask for.

    Views cost nothing. What numpy and PIL copy on their own isn't seen.
    """

    touched = 0
    allocated = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            given, made = tensors((args, kwargs)), tensors(result)
            known = {tensor.untyped_storage().data_ptr() for tensor in given}
            read = [*made, *given[1:]] if func.overloadpacket in PICKING else given
            self.touched += sum(tensor.nbytes for tensor in (*read, *made))
            self.allocated += sum(each.nbytes for each in made if each.untyped_storage().data_ptr() not in known)
        return result


def tensors(tree: object) -> list[Tensor]:
    """Those among arguments or results."""
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def traffic_figures(action: Callable[[], object], images: int) -> dict[str, float]:
    """What `action` does to so many images, in kilobytes for each."""
    with Traffic() as counted:  # type: ignore[no-untyped-call]  # torch's constructor has no annotations
        action()
    return {"kb_touched": counted.touched / images / 1e3, "kb_allocated": counted.allocated / images / 1e3}
