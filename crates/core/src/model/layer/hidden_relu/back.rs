//! The way back, from signs: few columns are added up under masks, many are [looked up](super::tables).

use pulp::Arch;
use rayon::prelude::*;

use super::bits::{exchange, words};
use super::cut::{Cut, aligned};
use super::kernels::Masked;
use super::tables::{self, Gather, Scatter, Slab};
use super::{GROUPS, HiddenRelu, Kept, Pass, SLABS};

/// Where gradients are added.
pub(super) struct Into<'a> {
    pub(super) dweight: &'a mut [f64],
    pub(super) dbias: &'a mut [f64],
    pub(super) dv: &'a mut [f64],
}

impl HiddenRelu {
    /// The gradient of the parameters with few columns.
    pub(super) fn masked(&self, pass: Pass<'_>, cut: Cut, dy: &[f64], into: Into<'_>, kept: &mut Kept) {
        let Kept { numbers, scratch, back: [_, terms], .. } = kept;
        let (words, packed) = (words(numbers, &cut), aligned(scratch, cut.groups() * cut.packed_of_group()));
        terms.resize(pass.n * cut.columns, 0.0);
        for ((to, x), dy) in terms.chunks_exact_mut(cut.columns).zip(pass.x.chunks_exact(cut.inputs)).zip(dy)
        {
            let (to, last) = to.split_at_mut(cut.inputs);
            to.iter_mut().zip(x).for_each(|(to, x)| *to = dy * x);
            last.fill(*dy);
        }
        let (rows, terms) = (cut.group * cut.panel, &terms[..]);
        let Into { dweight, dbias, dv } = into;
        // A group without biases gets none of them.
        let mut none = [[0.0; 0]; GROUPS];
        let each = |((((words, packed), dweight), dv), dbias): Behind<'_>| {
            Arch::new().dispatch(Masked { cut, terms, words, packed, dweight, dv, dbias });
        };
        let (of_words, of_packed) = (cut.group * cut.words(), cut.packed_of_group());
        if cut.is_shared() {
            let parts = words.par_chunks(of_words).zip(packed.par_chunks(of_packed));
            let parts = parts.zip(dweight.par_chunks_mut(rows * cut.inputs)).zip(dv.par_chunks_mut(rows));
            match dbias.is_empty() {
                true => parts.zip(none.par_iter_mut().map(|none| &mut none[..])).for_each(each),
                false => parts.zip(dbias.par_chunks_mut(rows)).for_each(each),
            }
        } else {
            let parts = words.chunks(of_words).zip(packed.chunks(of_packed));
            let parts = parts.zip(dweight.chunks_mut(rows * cut.inputs)).zip(dv.chunks_mut(rows));
            match dbias.is_empty() {
                true => parts.zip(none.iter_mut().map(|none| &mut none[..])).for_each(each),
                false => parts.zip(dbias.chunks_mut(rows)).for_each(each),
            }
        }
    }

    /// The gradient of the parameters with many.
    pub(super) fn looked_up(&self, pass: Pass<'_>, cut: Cut, dy: &[f64], into: Into<'_>, kept: &mut Kept) {
        let Kept { numbers, back: [_, room], .. } = kept;
        let words = words(numbers, &cut);
        let of_slab = tables::room_of(&cut);
        let room = aligned(room, cut.slabs().min(SLABS) * of_slab);
        let (hidden, outer) = self.split(pass.params);
        let ((weight, bias), (v, _)) = (self.inner().split(hidden), self.outer.split(outer));
        let Into { dweight, dbias, dv } = into;
        for first in (0..cut.slabs()).step_by(SLABS) {
            let room = &mut room[..SLABS.min(cut.slabs() - first) * of_slab];
            slabs(cut, first, room, (pass.x, dy, words));
            let (rows, room) = (cut.group * cut.panel, &*room);
            let mut none = [[0.0; 0]; GROUPS];
            let each = |(k, ((((weight, dweight), v), dv), dbias)): (usize, Gathered<'_>)| {
                let bias = bias.get(k * rows..).unwrap_or(&[]);
                let first_neuron = k * rows;
                Arch::new().dispatch(Gather {
                    cut,
                    first,
                    first_neuron,
                    room,
                    weight,
                    bias,
                    v,
                    dweight,
                    dv,
                    dbias,
                });
            };
            let of_rows = rows * cut.inputs;
            if cut.is_shared() {
                let parts = weight.par_chunks(of_rows).zip(dweight.par_chunks_mut(of_rows));
                let parts = parts.zip(v.par_chunks(rows)).zip(dv.par_chunks_mut(rows));
                match dbias.is_empty() {
                    true => {
                        parts.zip(none.par_iter_mut().map(|none| &mut none[..])).enumerate().for_each(each)
                    }
                    false => parts.zip(dbias.par_chunks_mut(rows)).enumerate().for_each(each),
                }
            } else {
                let parts = weight.chunks(of_rows).zip(dweight.chunks_mut(of_rows));
                let parts = parts.zip(v.chunks(rows)).zip(dv.chunks_mut(rows));
                match dbias.is_empty() {
                    true => parts.zip(none.iter_mut().map(|none| &mut none[..])).enumerate().for_each(each),
                    false => parts.zip(dbias.chunks_mut(rows)).enumerate().for_each(each),
                }
            }
        }
    }

    /// The cotangents of the inputs, which only attacks and deeper networks ask for: sums over subsets of the neurons.
    pub(super) fn inputs_back(&self, pass: Pass<'_>, cut: Cut, dy: &[f64], dx: &mut [f64], kept: &mut Kept) {
        let Kept { numbers, back: [turned, room], .. } = kept;
        let turn = cut.exchanged();
        let turned = words(turned, &turn);
        exchange(&cut, words(numbers, &cut), &turn, turned);
        let turned = &*turned;
        let of_slab = tables::room_of(&turn);
        let room = aligned(room, turn.slabs().min(SLABS) * of_slab);
        let (hidden, outer) = self.split(pass.params);
        let ((weight, _), (v, _)) = (self.inner().split(hidden), self.outer.split(outer));
        for first in (0..turn.slabs()).step_by(SLABS) {
            let room = &mut room[..SLABS.min(turn.slabs() - first) * of_slab];
            slabs(turn, first, room, (weight, v, turned));
            let (rows, room) = (turn.group * turn.panel, &*room);
            let each = |(k, (dx, dy)): (usize, (&mut [f64], &[f64]))| {
                Arch::new().dispatch(Scatter { cut: turn, first, first_neuron: k * rows, room, dx, dy });
            };
            let of_rows = rows * cut.inputs;
            match turn.is_shared() {
                true => dx.par_chunks_mut(of_rows).zip(dy.par_chunks(rows)).enumerate().for_each(each),
                false => dx.chunks_mut(of_rows).zip(dy.chunks(rows)).enumerate().for_each(each),
            }
        }
    }
}

/// The sums of the slabs from `first` on that have room.
fn slabs(cut: Cut, first: usize, room: &mut [f64], (x, dy, words): (&[f64], &[f64], &[u64])) {
    let of_slab = tables::room_of(&cut);
    let each = |(k, room): (usize, &mut [f64])| {
        Arch::new().dispatch(Slab { cut, x, dy, words, slab: first + k, room });
    };
    match cut.is_shared() {
        true => room.par_chunks_mut(of_slab).enumerate().for_each(each),
        false => room.chunks_mut(of_slab).enumerate().for_each(each),
    }
}

/// A group's share of words, packed weights, dW, dv and db.
type Behind<'a> = ((((&'a [u64], &'a [f64]), &'a mut [f64]), &'a mut [f64]), &'a mut [f64]);

/// A group's share of W, dW, v, dv and db.
type Gathered<'a> = ((((&'a [f64], &'a mut [f64]), &'a [f64]), &'a mut [f64]), &'a mut [f64]);
