//! One pass of an optimiser's rule over all entries.
//!
//! A rule is written once, for any [`Real`]. Entries go in chunks: where a chunk's numbers are within f64's range of each
//! other (nearly always) the rule runs in plain f64 vector instructions, in units of powers of two of the loss; otherwise
//! in [`Far`]. Both are f64 arithmetic rounded once an operation beside exact powers of two, so they give the same bits,
//! and which of them ran cannot be told from a result.

use super::Place;
use super::far::Far;
use super::memory::{Gradient, Memory};
use crate::numeric::wide;
use crate::power_of_two;

/// Entries of a chunk: its working numbers stay in the first cache.
const CHUNK: usize = 64;
/// ε beyond 2^{HUGE} times the unit of a gradient swamps every root of a square; it is then put just there.
const HUGE: i64 = 600;

/// The arithmetic that rules are written in.
pub(crate) trait Real: Copy {
    /// c·a for a setting c.
    fn scale(self, c: f64) -> Self;
    /// a/c for a setting c.
    fn over(self, c: f64) -> Self;
    fn add(self, b: Self) -> Self;
    fn mul(self, b: Self) -> Self;
    /// a/b, and 0 for a = 0 whatever b is.
    fn div(self, b: Self) -> Self;
    fn sqrt(self) -> Self;
    fn neg(self) -> Self;
    /// a, or 0 for a < 0.
    fn positive(self) -> Self;
}

/// What happens to one entry.
pub(crate) trait Rule<const S: usize> {
    /// Whether means and mean squares are taken from each other, so that their units must fit.
    const MIXED: bool = false;
    /// From the true gradient's entry and its square, the entry's state and ε to its new state.
    fn step<R: Real>(&self, g: R, square: R, own: [R; S], epsilon: R) -> [R; S];
}

/// A part of the state.
pub(crate) struct Part<'a> {
    /// Its entries.
    pub memory: &'a mut Memory,
    /// The power of a gradient that it has the unit of: 0 for a step, 1 for a mean, 2 for a mean square.
    pub degree: i64,
    /// Whether the rule only writes it.
    pub fresh: bool,
}

/// Applies a rule to every entry.
pub(crate) fn sweep<const S: usize, T: Rule<S>>(
    rule: &T,
    at: &Place<'_>,
    epsilon: Far,
    mut parts: [Part<'_>; S],
) {
    let n = at.grad.len();
    wide(|| {
        for start in (0..n).step_by(CHUNK) {
            let end = n.min(start + CHUNK);
            if end - start < CHUNK || !plain(rule, at, epsilon, start, &mut parts) {
                far(rule, at, epsilon, start..end, &mut parts);
            }
        }
    });
}

/// The powers of two in which a chunk is tried in plain f64.
struct Units {
    /// Of a step, a mean, a mean square.
    powers: [i64; 3],
    /// Where a step is expected, in its unit.
    step: i64,
    /// The loss, and its square, in the unit of a mean and a mean square; 0 where a new gradient is too small beside
    /// what is remembered to change any of it.
    loss: f64,
    loss_squared: f64,
    epsilon: f64,
}

impl Units {
    /// Units of the larger of a new gradient and what is remembered: a memory that the loss has left behind is
    /// still of ordinary size in its own unit.
    #[inline(always)]
    fn new<const S: usize, T: Rule<S>>(
        at: &Place<'_>,
        epsilon: Far,
        start: usize,
        parts: &[Part<'_>; S],
    ) -> Units {
        let own = at.frame.exponent;
        let remembered = |degree: i64| {
            let part = parts.iter().find(|p| p.degree == degree && !p.fresh)?;
            let (x, k) = part.memory.slices(start, CHUNK);
            let i = (0..CHUNK).find(|&i| x[i] != 0.0)?;
            Some(Far { x: x[i], k: k[i] }.exponent())
        };
        let (mut mean, mut square) = (own, own);
        if !T::MIXED {
            mean = remembered(1).map_or(own, |e| e.max(own));
            square = remembered(2).map_or(own, |e| (e >> 1).max(own));
        }
        let shrink = |by: i64, least: i64| if by < -least { 0.0 } else { power_of_two(by) };
        let mut units = Units {
            powers: [mean - square, mean, 2 * square],
            step: 0,
            loss: shrink(own - mean, 900),
            loss_squared: shrink(2 * (own - square), 800),
            epsilon: 0.0,
        };
        if epsilon.x != 0.0 {
            let own = epsilon.exponent();
            let mantissa = epsilon.times_power(-own);
            let over = own - square;
            if over > HUGE {
                // √v + ε = ε here; m/ε, in units of 2^{HUGE + mean − own}, has the right digits.
                units.powers[0] = HUGE + mean - own;
                units.step = -HUGE;
                units.epsilon = mantissa * power_of_two(HUGE);
            } else if over > -HUGE {
                units.epsilon = mantissa * power_of_two(over);
            }
        }
        units
    }

    /// Exponents of the largest and smallest numbers of a degree for which no operation of a rule leaves f64's range.
    const fn range(degree: i64) -> i64 {
        [900, 200, 400][degree as usize]
    }

    /// Whether new gradients are too small to be felt by what has this degree.
    fn drops(&self, degree: i64) -> bool {
        match degree {
            1 => self.loss == 0.0,
            2 => self.loss_squared == 0.0,
            _ => false,
        }
    }
}

/// 0, or between 2^{−p} and 2^p.
#[inline(always)]
fn within(x: f64, low: f64, high: f64) -> bool {
    let size = x.abs();
    (x == 0.0) | (low..high).contains(&size)
}

/// Tries a chunk in f64; false, with nothing written, where that might not be exact.
#[inline(always)]
fn plain<const S: usize, T: Rule<S>>(
    rule: &T,
    at: &Place<'_>,
    epsilon: Far,
    start: usize,
    parts: &mut [Part<'_>; S],
) -> bool {
    let grad = &at.grad[start..start + CHUNK];
    let units = Units::new::<S, T>(at, epsilon, start, parts);
    let (low, high) = (power_of_two(-60), power_of_two(60));
    let mut fits = grad.iter().fold(true, |fits, g| fits & within(*g, low, high));
    let mut values = [[Plain(0.0); CHUNK]; S];
    let mut steps = [(0, 0.0); S];
    for (s, part) in parts.iter().enumerate() {
        let (x, k) = part.memory.slices(start, CHUNK);
        let unit = units.powers[part.degree as usize];
        let expected = unit + if part.degree == 0 { units.step } else { 0 };
        // Where the numbers are; zeros are anywhere.
        let found = if part.fresh { None } else { (0..CHUNK).find(|&i| x[i] != 0.0).map(|i| k[i]) };
        let step = found.unwrap_or((expected + 256) >> 9);
        let power = (step << 9) - unit;
        if !(-1000..=1000).contains(&power) {
            return false;
        }
        steps[s] = (step, power_of_two(-power));
        if part.fresh || found.is_none() {
            continue;
        }
        let factor = power_of_two(power);
        let (low, high) = (power_of_two(-Units::range(part.degree)), power_of_two(Units::range(part.degree)));
        for i in 0..CHUNK {
            let value = x[i] * factor;
            let size = value.abs();
            fits &= (x[i] == 0.0) | ((k[i] == step) & (low..high).contains(&size));
            values[s][i] = Plain(value);
        }
    }
    if !fits {
        return false;
    }
    let epsilon = Plain(units.epsilon);
    for i in 0..CHUNK {
        let own = std::array::from_fn(|s| values[s][i]);
        let g = grad[i] * at.frame.factor;
        let new = rule.step(Plain(g * units.loss), Plain(g * g * units.loss_squared), own, epsilon);
        (0..S).for_each(|s| values[s][i] = new[s]);
    }
    // What is dropped is below 2⁻⁶⁸⁰, so it is nothing beside 2⁻⁴⁰⁰.
    let felt = power_of_two(-400);
    for s in 0..S {
        if units.drops(parts[s].degree) {
            fits = values[s].iter().zip(grad).fold(fits, |f, (v, g)| f & ((*g == 0.0) | (v.0.abs() >= felt)));
        }
        let back = steps[s].1;
        for value in &mut values[s] {
            value.0 *= back;
            fits &= Far::is_mantissa(value.0);
        }
    }
    if !fits {
        return false;
    }
    for (s, part) in parts.iter_mut().enumerate() {
        let (x, k) = part.memory.slices_mut(start, CHUNK);
        let step = steps[s].0;
        for i in 0..CHUNK {
            x[i] = values[s][i].0;
            k[i] = if x[i] == 0.0 { Far::NULL.k } else { step };
        }
    }
    true
}

fn far<const S: usize>(
    rule: &impl Rule<S>,
    at: &Place<'_>,
    epsilon: Far,
    range: std::ops::Range<usize>,
    parts: &mut [Part<'_>; S],
) {
    let g = Gradient::at(at);
    for i in range {
        let (g, own) = (g.get(i), std::array::from_fn(|s| parts[s].memory.get(i)));
        let new = rule.step(g, g.mul(g), own, epsilon);
        parts.iter_mut().zip(new).for_each(|(part, new)| part.memory.set(i, new));
    }
}

#[derive(Clone, Copy)]
struct Plain(f64);

impl Real for Plain {
    #[inline(always)]
    fn scale(self, c: f64) -> Self {
        Plain(self.0 * c)
    }
    #[inline(always)]
    fn over(self, c: f64) -> Self {
        Plain(self.0 / c)
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Plain(self.0 + b.0)
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Plain(self.0 * b.0)
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        let quotient = self.0 / b.0;
        Plain(if self.0 == 0.0 { 0.0 } else { quotient })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Plain(self.0.sqrt())
    }
    #[inline(always)]
    fn neg(self) -> Self {
        Plain(-self.0)
    }
    #[inline(always)]
    fn positive(self) -> Self {
        Plain(if self.0 > 0.0 { self.0 } else { 0.0 })
    }
}

impl Real for Far {
    #[inline(always)]
    fn scale(self, c: f64) -> Self {
        Far::scale(self, c)
    }
    #[inline(always)]
    fn over(self, c: f64) -> Self {
        Far::over(self, c)
    }
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Far::add(self, b)
    }
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Far::mul(self, b)
    }
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        Far::div(self, b)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Far::sqrt(self)
    }
    #[inline(always)]
    fn neg(self) -> Self {
        Far::neg(self)
    }
    #[inline(always)]
    fn positive(self) -> Self {
        if self.x > 0.0 { self } else { Far::NULL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frame, Layout};

    /// A rule with every operation, of a mean, a square and a step.
    struct All<const MIXED: bool> {
        kept: f64,
    }

    impl<const MIXED: bool> Rule<3> for All<MIXED> {
        const MIXED: bool = MIXED;

        fn step<R: Real>(&self, g: R, square: R, [m, v, b]: [R; 3], epsilon: R) -> [R; 3] {
            let m = m.scale(0.9).add(g.scale(0.1));
            let v = v.scale(self.kept).add(square.scale(1.0 - self.kept));
            // v ≥ m², so half of it is left: no step is infinite.
            let spread = if MIXED { v.add(m.mul(m).scale(0.5).neg()).positive() } else { v }.over(0.7);
            [m, v, b.scale(0.5).add(m.div(spread.sqrt().add(epsilon)))]
        }
    }

    /// How many of 1600 chunks went the quick way.
    fn compare<const MIXED: bool>(rule: &All<MIXED>) -> u32 {
        let n = 3 * CHUNK + 5;
        let layout = Layout::vector(n);
        let theta = vec![0.0; n];
        let mut quick_ones = 0;
        for ln_epsilon in [f64::NEG_INFINITY, -30.0, -700.0, 400.0] {
            let epsilon = Far::from(Frame::of(ln_epsilon));
            let mut quick: [Memory; 3] = std::array::from_fn(|_| Memory::new(n));
            let mut sure = quick.clone();
            let mut ln_loss = 3.0;
            for step in 0..400u64 {
                // Falls that the memory follows, falls that outrun it, and rises.
                ln_loss -= match step {
                    100 | 300 => 1500.0,
                    110 | 350 => -1400.0,
                    150..200 => 3.7,
                    _ => 0.1,
                };
                let grad: Vec<f64> = (0..n as u64)
                    .map(|i| match (i * 7 + step * 13) % 19 {
                        0 => 0.0,
                        1 if i < 64 => 1e-300,
                        r => (r as f64 - 9.3) * 0.1 * 1.5f64.powi((i % 40) as i32 - 20),
                    })
                    .collect();
                let place = Place::new(&theta, &grad, ln_loss, &layout);
                fn parts([m, v, b]: &mut [Memory; 3]) -> [Part<'_>; 3] {
                    let part = |memory, degree| Part { memory, degree, fresh: false };
                    [part(m, 1), part(v, 2), part(b, 0)]
                }
                let mut copy = quick.clone();
                quick_ones += u32::from(plain(rule, &place, epsilon, CHUNK, &mut parts(&mut copy)));
                sweep(rule, &place, epsilon, parts(&mut quick));
                far(rule, &place, epsilon, 0..n, &mut parts(&mut sure));
                // A mean square that forgets at once makes infinite steps, and then NaN; == would not see them equal.
                for (a, b) in quick.iter().zip(&sure) {
                    let ((ax, ak), (bx, bk)) = (a.slices(0, n), b.slices(0, n));
                    for i in 0..n {
                        let same = ax[i].to_bits() == bx[i].to_bits() && ak[i] == bk[i];
                        let lost = ax[i].is_nan() && bx[i].is_nan();
                        assert!(
                            same || lost,
                            "kept {}, ln epsilon {ln_epsilon}, step {step}, {i}",
                            rule.kept
                        );
                    }
                }
            }
        }
        quick_ones
    }

    // Losses over every alignment of the units, with jumps, and an ε far below, near and far above the gradients.
    #[test]
    fn plain_chunks_and_far_entries_give_the_same_bits() {
        let mixed = compare(&All::<true> { kept: 0.9 });
        assert!(mixed > 400, "the quick way was taken {mixed} times of 1600");
        for kept in [0.9, 0.999, 0.0] {
            let quick = compare(&All::<false> { kept });
            assert!(quick > 800, "kept {kept}: the quick way was taken {quick} times of 1600");
        }
    }
}
