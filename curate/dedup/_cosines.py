"""The compiled loops of `neighbours`: cosines in one fixed order, and what of a block of products is worth one.

The module's name begins with an underscore, so that a list of methods does not import numba.
"""

# numba finds the types of what it compiles.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from curate.dedup._compiled import compiled

# Products that are looked at together; few such steps have one of interest.
STEP: Final = 256

_LANES: Final = 16


@intrinsic
def _reached(_typing: Any, address: Any, bar: Any) -> Any:
    """Whether any of the `STEP` whole numbers at an address is at least the bar, of whose type they are."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        width = 512 // bar.bitwidth
        lane, number = ir.IntType(bar.bitwidth), ir.IntType(32)
        block = ir.VectorType(lane, width)
        blank = ir.Constant(block, ir.Undefined)
        spread = builder.insert_element(blank, arguments[1], ir.Constant(number, 0))
        zeros = ir.Constant(ir.VectorType(number, width), [0] * width)
        spread = builder.shuffle_vector(spread, blank, zeros)
        found = None
        for step in range(STEP // width):
            place = builder.add(arguments[0], ir.Constant(ir.IntType(64), 64 * step))
            values = builder.load(builder.inttoptr(place, block.as_pointer()))
            values.align = bar.bitwidth // 8
            reached = builder.icmp_signed(">=", values, spread)
            found = reached if found is None else builder.or_(found, reached)
        bits = builder.bitcast(found, ir.IntType(width))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(width), 0))

    return types.boolean(address, bar), code


@compiled
def candidates(products, limits, bars, least, sure, rows, columns):  # pragma: no cover
    """Fill `rows` and `columns` with the places of products to be verified.

    Products are the bits of floating-point numbers taken for whole ones, which keeps the order of those above 0.
    Of row i those before column `limits[i]` count. One is verified if it reaches `bars[i]`, or if it reaches
    `least` and not `sure`; those that reach `sure` alone are counted.

    Returns how many are to be verified, -1 if there is no room for them; and how many were counted.
    """
    found, counted = 0, 0
    width = products.shape[1]
    start = np.int64(products.ctypes.data)
    for row in range(products.shape[0]):
        bar = bars[row]
        for begin in range(0, limits[row], STEP):
            end = min(begin + STEP, limits[row])
            # The last step of a row is looked at one by one.
            if begin + STEP <= width:
                place = start + (row * width + begin) * products.itemsize
                if not _reached(place, least):
                    continue
            if found + end - begin > len(rows):
                return -1, 0
            for column in range(begin, end):
                product = products[row, column]
                if product >= least:
                    if product >= bar or product < sure:
                        rows[found] = row
                        columns[found] = column
                        found += 1
                    else:
                        counted += 1
    return found, counted


@intrinsic
def _lanes(_typing: Any, one: Any, other: Any, steps: Any) -> Any:
    """The sum of products of so many times 16 numbers at two addresses: lane by lane, then in pairs."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number, double = ir.IntType(64), ir.VectorType(ir.DoubleType(), _LANES)
        single = ir.VectorType(ir.FloatType(), _LANES)

        def load(address: Any) -> Any:
            loaded = builder.load(builder.inttoptr(address, single.as_pointer()))
            loaded.align = 4
            return builder.fpext(loaded, double)

        before, function = builder.block, builder.function
        head, body, done = (function.append_basic_block(name) for name in ("head", "body", "done"))
        builder.branch(head)
        builder.position_at_end(head)
        step, total = builder.phi(number), builder.phi(double)
        step.add_incoming(ir.Constant(number, 0), before)
        total.add_incoming(ir.Constant(double, [0.0] * _LANES), before)
        builder.cbranch(builder.icmp_signed("<", step, arguments[2]), body, done)
        builder.position_at_end(body)
        place = builder.mul(step, ir.Constant(number, 4 * _LANES))
        products = builder.fmul(*(load(builder.add(address, place)) for address in arguments[:2]))
        total.add_incoming(builder.fadd(total, products), body)
        step.add_incoming(builder.add(step, ir.Constant(number, 1)), body)
        builder.branch(head)
        builder.position_at_end(done)
        sums = [builder.extract_element(total, ir.Constant(ir.IntType(32), lane)) for lane in range(_LANES)]
        while len(sums) > 1:
            sums = [builder.fadd(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
        return sums[0]

    return types.float64(one, other, steps), code


@compiled
def _dot(one, other):  # pragma: no cover
    """The scalar product of two vectors of 32-bit numbers, in 64 bits and one order.

    A product of two such numbers is exact in 64, so that a processor that fuses it with the sum adds the same.
    """
    steps = len(one) // _LANES
    total = _lanes(np.int64(one.ctypes.data), np.int64(other.ctypes.data), steps)
    for at in range(steps * _LANES, len(one)):
        total += np.float64(one[at]) * np.float64(other[at])
    return total


@compiled
def squares(vectors):  # pragma: no cover
    """The squared length of each vector. Shape (n,), not finite where the vector is not."""
    found = np.empty(len(vectors), np.float64)
    for row in range(len(vectors)):
        found[row] = _dot(vectors[row], vectors[row])
    return found


@compiled
def _cosine(one, other, one_square, other_square):  # pragma: no cover
    # The root of a rounded square is the number itself, so equal vectors have exactly 1.
    return max(-1.0, min(1.0, _dot(one, other) / np.sqrt(one_square * other_square)))


@compiled
def cosines(vectors, others, left, right):  # pragma: no cover
    """The cosine of `vectors[left[i]]` and `others[right[i]]` for each i."""
    found = np.empty(len(left), np.float64)
    for at in range(len(left)):
        one, other = vectors[left[at]], others[right[at]]
        found[at] = _cosine(one, other, _dot(one, one), _dot(other, other))
    return found


@compiled
def verified(  # pragma: no cover
    vectors, others, squared, others_squared, numbers, other_numbers, rows, columns, levels, cap, counts, bars
):
    """Which candidates reach the floor and are kept, with their cosines; and how many reach it and are not.

    Candidate i is row `numbers[rows[i]]` of the vectors and row `other_numbers[columns[i]]` of the others; those
    of one row ascend. `counts`, shape (rows, levels), and `bars` are what is known of each row, and are updated.
    """
    kept = np.empty(len(rows), np.bool_)
    cosine = np.empty(len(rows), np.float64)
    beyond = 0
    for at in range(len(rows)):
        one, other = numbers[rows[at]], other_numbers[columns[at]]
        cosine[at] = _cosine(vectors[one], others[other], squared[one], others_squared[other])
        kept[at] = _admitted(cosine[at], rows[at], levels, cap, counts, bars)
        beyond += cosine[at] >= levels[0] and not kept[at]
    return kept, cosine, beyond


@compiled
def admitted(rows, cosine, levels, cap, counts, bars):  # pragma: no cover
    """Which of such candidates are kept, of which the cosines are known."""
    kept = np.empty(len(rows), np.bool_)
    for at in range(len(rows)):
        kept[at] = _admitted(cosine[at], rows[at], levels, cap, counts, bars)
    return kept


@compiled
def _admitted(cosine, row, levels, cap, counts, bars):  # pragma: no cover
    """Whether a neighbour reaches the bar of a row, which rises where `cap` neighbours have reached it."""
    bar = bars[row]
    if cosine < levels[0] or bar == len(levels) or cosine < levels[bar]:
        return False
    for level in range(bar, len(levels)):
        if cosine < levels[level]:
            break
        counts[row, level] += 1
    while bar < len(levels) and counts[row, bar] >= cap:
        bar += 1
    bars[row] = bar
    return True
