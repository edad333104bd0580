//! Signs of activations as words of bits: for every 64 rows one a neuron, or for every 64 neurons one a row.

use rayon::prelude::*;

use super::WORD;
use super::cut::{Cut, aligned};
use crate::numeric::wide;

/// The words of all panels, in a buffer of numbers.
pub(super) fn words<'a>(buffer: &'a mut Vec<f64>, cut: &Cut) -> &'a mut [u64] {
    pulp::bytemuck::cast_slice_mut(aligned(buffer, cut.panels * cut.words()))
}

/// The signs of activations that have been computed, n × width.
pub(super) fn signs(h: &[f64], cut: &Cut, words: &mut [u64]) {
    let each = |(p, words): (usize, &mut [u64])| {
        let neurons = cut.panel.min(cut.width - p * cut.panel);
        let row = neurons.next_multiple_of(cut.lanes);
        for (rows, words) in h.chunks(WORD * cut.width).zip(words.chunks_exact_mut(row)) {
            words.fill(0);
            wide(|| {
                for (r, h) in rows.chunks_exact(cut.width).enumerate() {
                    let h = &h[p * cut.panel..][..neurons];
                    // A NaN passes, as in a tile.
                    words.iter_mut().zip(h).for_each(|(word, h)| *word |= u64::from(!(*h <= 0.0)) << r);
                }
            });
        }
    };
    match cut.is_shared() {
        true => words.par_chunks_mut(cut.words()).enumerate().for_each(each),
        false => words.chunks_mut(cut.words()).enumerate().for_each(each),
    }
}

/// Words of rows to words of neurons.
pub(super) fn exchange(cut: &Cut, words: &[u64], turn: &Cut, turned: &mut [u64]) {
    // Where the word of a block is for a neuron, or for a row.
    let place = |cut: &Cut, block: usize, j: usize| {
        let p = j / cut.panel;
        let row = cut.panel.min(cut.width - p * cut.panel).next_multiple_of(cut.lanes);
        p * cut.words() + block * row + j % cut.panel
    };
    for (rows, i) in (0..cut.n).step_by(WORD).enumerate() {
        for (neurons, j) in (0..cut.width).step_by(WORD).enumerate() {
            let mut square = [0; WORD];
            let there = WORD.min(cut.width - j);
            (0..there).for_each(|k| square[k] = words[place(cut, rows, j + k)]);
            transpose(&mut square);
            (0..WORD.min(cut.n - i)).for_each(|k| turned[place(turn, neurons, i + k)] = square[k]);
        }
    }
}

/// Transposes 64 words of bits, halves of halves at a time.
pub(super) fn transpose(square: &mut [u64; WORD]) {
    let (mut size, mut mask) = (WORD / 2, u64::MAX >> (WORD / 2));
    while size > 0 {
        for k in (0..WORD).filter(|k| k & size == 0) {
            let swapped = ((square[k] >> size) ^ square[k + size]) & mask;
            square[k] ^= swapped << size;
            square[k + size] ^= swapped;
        }
        size /= 2;
        mask ^= mask << size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_transposed() {
        let square: [u64; WORD] = std::array::from_fn(|k| (k as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut turned = square;
        transpose(&mut turned);
        for i in 0..WORD {
            (0..WORD).for_each(|j| assert_eq!((turned[i] >> j) & 1, (square[j] >> i) & 1, "{i}, {j}"));
        }
    }
}
