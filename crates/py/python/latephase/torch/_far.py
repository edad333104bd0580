"""Numbers without an end to their exponents."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Optional

import torch
from torch import Tensor

# f64 numbers without an end to their exponents: x * 2^(512 k) with 2^-256 <= |x| < 2^256, or 0. Every operation is the one of
# f64, rounded once, beside exact powers of two.
_TOP, _BOTTOM, _UP, _DOWN = 2.0**256, 2.0**-256, 2.0**512, 2.0**-512
_ZERO = -(2**60)
_LN_2_HI, _LN_2_LO = math.log(2.0), 2.319046813846299615494855e-17


class _Far:
    __slots__ = ("x", "k")

    def __init__(self, x: Tensor, k: Tensor) -> None:
        self.x, self.k = x, k

    @staticmethod
    def settled(x: Tensor, k: Tensor) -> "_Far":
        size = x.abs()
        high, low = size >= _TOP, size < _BOTTOM
        k = torch.where(x == 0.0, _ZERO, k + high.long() - low.long())
        return _Far(torch.where(high, x * _DOWN, torch.where(low, x * _UP, x)), k)

    @staticmethod
    def of(x: Tensor) -> "_Far":
        once = _Far.settled(x, torch.zeros_like(x, dtype=torch.long))
        return _Far.settled(once.x, once.k)

    @staticmethod
    def zeros(like: Tensor) -> "_Far":
        return _Far(torch.zeros_like(like), torch.full_like(like, _ZERO, dtype=torch.long))

    def mul(self, b: "_Far") -> "_Far":
        return _Far.settled(self.x * b.x, self.k + b.k)

    def number(self, c: float, exponent: int) -> "_Far":
        """Times c 2^exponent."""
        k = (exponent + 256) >> 9
        return _Far.settled(self.x * (c * 2.0 ** (exponent - (k << 9))), self.k + k)

    def scale(self, c: float) -> "_Far":
        return _Far.settled(self.x * c, self.k)

    def over(self, c: float) -> "_Far":
        return _Far.settled(self.x / c, self.k)

    def add(self, b: "_Far") -> "_Far":
        k = torch.maximum(self.k, b.k)
        # Two steps apart the smaller is below 2^-512 of the larger: rounding drops it.
        a, c = (torch.where(o.k == k, o.x, torch.where(o.k == k - 1, o.x * _DOWN, 0.0)) for o in (self, b))
        return _Far.settled(a + c, k)

    def sqrt(self) -> "_Far":
        odd = self.k & 1
        return _Far.settled(torch.where(odd == 1, self.x * _UP, self.x).sqrt(), (self.k - odd) >> 1)

    def div(self, b: "_Far") -> "_Far":
        """0 for a = 0 whatever b is: a coordinate without a gradient does not move."""
        return _Far.settled(torch.where(self.x == 0.0, 0.0, self.x / b.x), self.k - b.k)

    def top(self) -> Optional[int]:
        """The power p with 2^p <= largest |entry| < 2^(p + 1); None where all are 0."""
        if self.x.numel() == 0:
            return None
        k = int(self.k.max())
        largest = float(torch.where(self.k == k, self.x.abs(), 0.0).max())
        return (k << 9) + math.frexp(largest)[1] - 1 if largest > 0.0 else None

    def times_power(self, p: int) -> Tensor:
        """As f64, times 2^p."""
        e = (self.k.clamp(min=_ZERO // 512) * 512 + p).clamp(-2000, 2000)
        third = torch.div(e, 3, rounding_mode="trunc")
        one = torch.ones_like(self.x)
        return self.x * torch.ldexp(one, e - 2 * third) * torch.ldexp(one, third) * torch.ldexp(one, third)


def _frame(ln: float) -> tuple[float, int]:
    """e^ln as a factor in [1, 2] and a power of two."""
    if ln == -math.inf:
        return 0.0, 0
    exponent = math.floor(ln / _LN_2_HI)
    rest = float(Fraction(ln) - exponent * Fraction(_LN_2_HI)) - exponent * _LN_2_LO
    return math.exp(rest), exponent
