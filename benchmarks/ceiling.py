"""What the processor can do at most, and how much of it a training gets."""

import time

from builder.plan import Plan, leaves

TRIES = 8  # the first ones warm up


def training_flops(plan: Plan) -> int:
    """Of one image: two for each multiply-accumulate of the output, of the input's gradient and of the weights'.

    Nobody wants the gradient of the images themselves.
    """
    first = next(row.macs for row in leaves(plan.rows) if row.macs)
    return 2 * (3 * plan.macs - first)


def speed_figures(images_per_second: float, flops: int, precision: str, product: int) -> dict[str, float]:
    """A speed, the ceiling of its precision, and the share of that which so many `flops` an image come to."""
    ceiling = product_gflops(precision, product)
    share = images_per_second * flops / 1e9 / ceiling
    return {"images_per_second": images_per_second, f"{precision}_gflops": ceiling, "percent_of_ceiling": 100 * share}


def product_gflops(precision: str, size: int) -> float:
    """GFLOP/s of the product of two square matrices, the fastest of a few, by the library that is faster at it."""
    import torch  # here, so that who only plans does without

    from builder.algorithms.products import product

    left, right = torch.rand(2, size, size).to(getattr(torch, precision))
    times = []
    for _ in range(TRIES):
        started = time.perf_counter()
        product(left, right)
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times) / 1e9
