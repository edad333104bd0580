//! How a call is cut into panels of neurons, words of signs and slabs of columns: by the shapes alone.

use pulp::{Arch, Simd, WithSimd};

use super::{FEW_COLUMNS, GRAIN, GROUPS, LINE, VECTORS, WORD};

/// How a call is cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    pub(super) n: usize,
    pub(super) inputs: usize,
    /// The inputs, and one more for a bias.
    pub(super) columns: usize,
    pub(super) width: usize,
    /// Numbers of a vector and of a panel's row.
    pub(super) lanes: usize,
    pub(super) panel: usize,
    pub(super) panels: usize,
    /// Panels of a group.
    pub(super) group: usize,
}

impl Cut {
    pub(super) fn new([n, inputs, columns, width]: [usize; 4]) -> Cut {
        let lanes = Arch::new().dispatch(Lanes);
        let panel = VECTORS * lanes;
        let panels = width.div_ceil(panel);
        let groups = if 2 * n * inputs * width < GRAIN { 1 } else { GROUPS.min(panels) };
        Cut { n, inputs, columns, width, lanes, panel, panels, group: panels.div_ceil(groups) }
    }

    /// The same with rows for neurons and neurons for rows, and without a bias.
    pub(super) fn exchanged(&self) -> Cut {
        Cut::new([self.width, self.inputs, self.inputs, self.n])
    }

    pub(super) fn groups(&self) -> usize {
        self.panels.div_ceil(self.group)
    }

    /// Numbers of a packed panel: the rows of Wᵀ, b and v.
    pub(super) fn packed(&self) -> usize {
        (self.inputs + 2) * self.panel
    }

    /// Numbers of a group's packed panels. The way back needs them where columns are few, else one place is used again and again.
    pub(super) fn packed_of_group(&self) -> usize {
        if self.has_few_columns() { self.group * self.packed() } else { self.packed() }
    }

    pub(super) fn has_few_columns(&self) -> bool {
        self.columns <= FEW_COLUMNS
    }

    /// Words of a panel: for every 64 rows one a neuron, whose bits tell where z > 0.
    pub(super) fn words(&self) -> usize {
        self.n.div_ceil(WORD) * self.panel
    }

    /// Vectors of columns.
    pub(super) fn slabs(&self) -> usize {
        self.columns.div_ceil(self.lanes)
    }

    pub(super) fn is_shared(&self) -> bool {
        self.group < self.panels && rayon::current_num_threads() > 1
    }
}

/// The first `numbers` of a buffer from a cache line on, so that no vector crosses one.
pub(super) fn aligned(buffer: &mut Vec<f64>, numbers: usize) -> &mut [f64] {
    let room = numbers + LINE / size_of::<f64>();
    if buffer.len() < room {
        buffer.resize(room, 0.0);
    }
    let skip = buffer.as_ptr().align_offset(LINE).min(room - numbers);
    &mut buffer[skip..][..numbers]
}

/// Numbers of a vector of this machine.
pub(super) struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F64_LANES
    }
}
