//! A window that slides over an image: kernel, stride and padding, and the shape that comes out.
//!
//! Along each axis the output has ⌊(size + before + after − kernel)/stride⌋ + 1 places; place o sees the inputs
//! o·stride − before + k for k = 0, …, kernel − 1, and those outside the image are the padding.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Invalid;
use crate::model::layer::sizes;

/// One number for both axes, or `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(pub [usize; 2]);

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum PairAsWritten {
    Both(usize),
    Each([usize; 2]),
}

impl From<usize> for Pair {
    fn from(both: usize) -> Pair {
        Pair([both; 2])
    }
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let [h, w] = self.0;
        if h == w { PairAsWritten::Both(h) } else { PairAsWritten::Each([h, w]) }.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match PairAsWritten::deserialize(d) {
            Ok(PairAsWritten::Both(n)) => Ok(n.into()),
            Ok(PairAsWritten::Each(pair)) => Ok(Pair(pair)),
            Err(_) => Err(serde::de::Error::custom("expected a number, or [height, width]")),
        }
    }
}

/// Zeros around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As many as keep the size at stride 1; of an odd number the extra one is at the bottom and right (PyTorch).
    Same,
    /// This many on both sides of each axis.
    Zeros(Pair),
}

impl Default for Padding {
    fn default() -> Self {
        Padding::Zeros(Pair([0, 0]))
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Padding::Same => "same".serialize(s),
            Padding::Zeros(pair) => pair.serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum AsWritten {
            Word(String),
            Numbers(PairAsWritten),
        }
        match AsWritten::deserialize(d) {
            Ok(AsWritten::Word(word)) if word == "same" => Ok(Padding::Same),
            Ok(AsWritten::Numbers(PairAsWritten::Both(n))) => Ok(Padding::Zeros(n.into())),
            Ok(AsWritten::Numbers(PairAsWritten::Each(pair))) => Ok(Padding::Zeros(Pair(pair))),
            _ => Err(serde::de::Error::custom("expected \"same\", a number, or [height, width]")),
        }
    }
}

/// A window on images of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) channels: usize,
    /// Height and width of the image.
    pub(crate) size: [usize; 2],
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    /// Padding above and to the left.
    pub(crate) before: [usize; 2],
    /// Places of the window: height and width of what comes out.
    pub(crate) out: [usize; 2],
}

impl Window {
    /// A window on inputs of shape channels × height × width; `field` names the setting that gives its size.
    ///
    /// # Errors
    /// Inputs that are not images, a size or stride of 0, `same` with a stride, a kernel larger than the padded image.
    pub(crate) fn new(
        input: &[usize],
        field: &str,
        kernel: Pair,
        stride: Pair,
        padding: Padding,
    ) -> Result<Window, Invalid> {
        let &[channels, height, width] = input else {
            let given = sizes(input);
            let text =
                format!("its input has the shape {given}, but it takes images: channels x height x width");
            return Err(Invalid::new("", text));
        };
        let (Pair(kernel), Pair(stride), size) = (kernel, stride, [height, width]);
        for (name, pair) in [(field, kernel), ("stride", stride)] {
            if pair.contains(&0) {
                let [h, w] = pair;
                return Err(Invalid::new(name, format!("{h}x{w} contains a 0; use numbers of at least 1")));
            }
        }
        if padding == Padding::Same && stride != [1, 1] {
            let [h, w] = stride;
            let text = format!("\"same\" needs a stride of 1, not {h}x{w}; give a number of zeros instead");
            return Err(Invalid::new("padding", text));
        }
        let (before, after) = match padding {
            Padding::Zeros(Pair(zeros)) => (zeros, zeros),
            Padding::Same => (kernel.map(|k| (k - 1) / 2), kernel.map(|k| k - 1 - (k - 1) / 2)),
        };
        let padded = [0, 1].map(|a| size[a] + before[a] + after[a]);
        if kernel[0] > padded[0] || kernel[1] > padded[1] {
            let ([kh, kw], [ph, pw]) = (kernel, padded);
            let text = format!(
                "a window of {kh}x{kw} is larger than its padded input of {} (inputs of {}); use a smaller one or \
                 more padding",
                sizes(&[channels, ph, pw]),
                sizes(input)
            );
            return Err(Invalid::new(field, text));
        }
        let out = [0, 1].map(|a| (padded[a] - kernel[a]) / stride[a] + 1);
        Ok(Window { channels, size, kernel, stride, before, out })
    }

    /// The window of a pool, which steps by its own size unless told otherwise.
    ///
    /// # Errors
    /// Those of [`new`](Window::new), and padding of more than half the window: some places would see nothing else.
    pub(crate) fn pool(
        input: &[usize],
        size: Pair,
        stride: Option<Pair>,
        padding: Padding,
    ) -> Result<Window, Invalid> {
        let window = Window::new(input, "size", size, stride.unwrap_or(size), padding)?;
        if let ([h, w], [kh, kw]) = (window.before, window.kernel)
            && (2 * h > kh || 2 * w > kw)
        {
            let text = format!("{h}x{w} is more than half of a window of {kh}x{kw}");
            return Err(Invalid::new("padding", text));
        }
        Ok(window)
    }

    /// `3x3` and what differs from a stride of 1 without padding: `3x3 by 2x2, padding 1x1`.
    pub(crate) fn about(&self) -> String {
        let pair = |[h, w]: [usize; 2]| format!("{h}x{w}");
        let mut about = pair(self.kernel);
        if self.stride != [1, 1] {
            about += &format!(" by {}", pair(self.stride));
        }
        if self.out == self.size && self.stride == [1, 1] && self.kernel != [1, 1] {
            about += ", same";
        } else if self.before != [0, 0] {
            about += &format!(", padding {}", pair(self.before));
        }
        about
    }

    /// Shape of the output with this many channels.
    pub(crate) fn shape(&self, channels: usize) -> [usize; 3] {
        [channels, self.out[0], self.out[1]]
    }

    /// Numbers in one input image.
    pub(crate) fn inputs(&self) -> usize {
        self.channels * self.plane()
    }

    /// Numbers in one channel of the input.
    pub(crate) fn plane(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Places of the window.
    pub(crate) fn pixels(&self) -> usize {
        self.out[0] * self.out[1]
    }

    /// Inputs seen at one place in one channel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// The places from..to along `axis` at which tap `k` falls on the image.
    pub(crate) fn reach(&self, axis: usize, k: usize) -> (usize, usize) {
        let (size, stride, before) = (self.size[axis], self.stride[axis], self.before[axis]);
        let from = before.saturating_sub(k).div_ceil(stride);
        let to = (size + before).saturating_sub(k).div_ceil(stride).min(self.out[axis]);
        (from.min(to), to)
    }

    /// The rows (axis 0) or columns (axis 1) of the image, from..to, that the window covers at a place.
    pub(crate) fn covered(&self, axis: usize, place: usize) -> (usize, usize) {
        let (start, before) = (place * self.stride[axis], self.before[axis]);
        let to = (start + self.kernel[axis]).saturating_sub(before).min(self.size[axis]);
        (start.saturating_sub(before).min(to), to)
    }

    /// How often one input number is used at most: ⌈kernel/stride⌉ along each axis, or at every place if there are fewer.
    pub(crate) fn coverage(&self) -> usize {
        [0, 1].map(|a| self.kernel[a].div_ceil(self.stride[a]).min(self.out[a])).iter().product()
    }

    /// Calls `each` with every place and the rows and columns of the image, from..to, that the window covers there.
    pub(crate) fn for_each_place(&self, mut each: impl FnMut(usize, (usize, usize), (usize, usize))) {
        let mut place = 0;
        for y in 0..self.out[0] {
            let ys = self.covered(0, y);
            for x in 0..self.out[1] {
                each(place, ys, self.covered(1, x));
                place += 1;
            }
        }
    }
}
