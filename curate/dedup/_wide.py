"""Instructions that numba has no words for: on 64 bytes at once, on 32 permutations, and on single bits.

They are written for registers of any width: LLVM takes them apart for the processor at hand. numba keeps a loop
compiled until the file of that loop changes, so whoever changes something here saves `_kernels.py` as well.
"""

# mypy: disable-error-code="import-untyped, no-untyped-call"

from __future__ import annotations

from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Permutations that are held in registers at a time, 16 numbers of 32 bits wide: on processors with registers of
# 512 bits 32 take six of them. Signatures of another number are computed up to the next multiple.
WIDTH: Final = 32


@intrinsic
def eight(_typing: Any, address: Any) -> Any:
    """The eight bytes at an address as a number."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        loaded = builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        loaded.align = 1
        return loaded

    return types.uint64(address), code


@intrinsic
def lowest_bit(_typing: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set, 64 where none is."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(bits), code


@intrinsic
def ones(_typing: Any, bits: Any) -> Any:
    """How many bits are set."""

    def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(bits), code


@intrinsic
def classed(_typing: Any, address: Any, lowered: Any) -> Any:
    """Lower-case the 64 bytes at an address into another; which are in words, which are signs, which not ASCII.

    A bit a byte. The classes are those of `characters`, as far as ASCII goes.
    """

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = ir.VectorType(ir.IntType(8), 64)

        def every(value: int) -> Any:
            return ir.Constant(block, [value] * 64)

        def between(values: Any, first: str, last: str) -> Any:
            width = every(ord(last) - ord(first) + 1)
            return builder.icmp_unsigned("<", builder.sub(values, every(ord(first))), width)

        def among(values: Any, characters: str) -> Any:
            found = [builder.icmp_unsigned("==", values, every(ord(character))) for character in characters]
            while len(found) > 1:
                found.append(builder.or_(found.pop(0), found.pop(0)))
            return found[0]

        source, target = (builder.inttoptr(argument, block.as_pointer()) for argument in arguments)
        raw = builder.load(source)
        raw.align = 1
        upper = between(raw, "A", "Z")
        lower = builder.select(upper, builder.or_(raw, every(32)), raw)
        builder.store(lower, target).align = 1
        words = builder.or_(between(lower, "a", "z"), builder.or_(between(raw, "0", "9"), among(raw, "_")))
        unsaid = builder.or_(words, among(raw, ".,;:!?\"'"))
        signs = builder.and_(between(raw, "!", "~"), builder.not_(unsaid))
        beyond = builder.icmp_signed("<", raw, every(0))
        bits = [builder.bitcast(found, ir.IntType(64)) for found in (words, signs, beyond)]
        return context.make_tuple(builder, signature.return_type, bits)

    return types.UniTuple(types.uint64, 3)(address, lowered), code


@intrinsic
def permute(_typing: Any, hashes: Any, count: Any, factors: Any, shifts: Any, lowest: Any) -> Any:
    """Lower `WIDTH` numbers to the least of `hash * factor + shift`. Arguments are addresses of 32-bit numbers."""

    def code(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        number, lane = ir.IntType(64), ir.IntType(32)
        block = ir.VectorType(lane, 16)
        blocks = range(WIDTH // 16)

        def pointers(address: Any) -> list[Any]:
            steps = [builder.add(address, ir.Constant(number, 64 * step)) for step in blocks]
            return [builder.inttoptr(step, block.as_pointer()) for step in steps]

        def load(pointer: Any) -> Any:
            loaded = builder.load(pointer)
            loaded.align = 4
            return loaded

        source = builder.inttoptr(arguments[0], lane.as_pointer())
        factors, shifts = ([load(pointer) for pointer in pointers(argument)] for argument in arguments[2:4])
        targets = pointers(arguments[4])
        before, function = builder.block, builder.function
        head, body, done = (function.append_basic_block(name) for name in ("head", "body", "done"))
        known = [load(target) for target in targets]
        builder.branch(head)

        builder.position_at_end(head)
        place = builder.phi(number)
        place.add_incoming(ir.Constant(number, 0), before)
        least = []
        for start in known:
            phi = builder.phi(block)
            phi.add_incoming(start, before)
            least.append(phi)
        builder.cbranch(builder.icmp_signed("<", place, arguments[1]), body, done)

        builder.position_at_end(body)
        hash = builder.load(builder.gep(source, [place]))
        spread = builder.insert_element(ir.Constant(block, ir.Undefined), hash, ir.Constant(lane, 0))
        spread = builder.shuffle_vector(spread, ir.Constant(block, ir.Undefined), ir.Constant(block, [0] * 16))
        for step in blocks:
            permuted = builder.add(builder.mul(spread, factors[step]), shifts[step])
            lower = builder.icmp_unsigned("<", permuted, least[step])
            least[step].add_incoming(builder.select(lower, permuted, least[step]), body)
        place.add_incoming(builder.add(place, ir.Constant(number, 1)), body)
        builder.branch(head)

        builder.position_at_end(done)
        for step in blocks:
            builder.store(least[step], targets[step]).align = 4
        return context.get_dummy_value()

    return types.void(hashes, count, factors, shifts, lowest), code
