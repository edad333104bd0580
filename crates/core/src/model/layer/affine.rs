//! The degree calculus of y = W h (+ b): a sum of a map of degree (1, 1) and a block of degree 1.

use super::{Layer, Rise};
use crate::model::calculus::{Part, Piece};

/// What the calculus says of a weight and perhaps a bias.
pub(super) struct Affine {
    piece: Piece,
    /// Degrees of weight and bias in the output; 0 where the homogenization drops the block.
    blocks: Vec<f64>,
    own_degree: f64,
    input_degree: f64,
    dropped: Vec<String>,
    keeps: [bool; 2],
}

impl Affine {
    /// Of the `parts` weight and, if there are two, bias, of the layer `name`: ‖W h‖ ≤ `lipschitz`·‖W‖_F·‖h‖, and each
    /// number of the bias is added to `uses` outputs.
    pub(super) fn of(below: &Piece, parts: &[Part], name: &str, lipschitz: f64, uses: f64) -> Affine {
        let map = below.through(parts[0], lipschitz);
        let own = parts[0].term().0;
        let Some(&part) = parts.get(1) else {
            let dropped = Vec::new();
            return Affine {
                piece: map,
                blocks: vec![own],
                own_degree: own,
                input_degree: 1.0,
                dropped,
                keeps: [true; 2],
            };
        };
        let (weight, bias) = (format!("the weight {name}.weight"), format!("the bias {name}.bias"));
        let (piece, kept) = Piece::sum(&[(&weight, &map), (&bias, &Piece::block(part, uses))]);
        let named = [("weight", kept[0]), ("bias", kept[1])];
        let dropped = named.iter().filter(|(_, kept)| !kept).map(|(n, _)| format!("{name}.{n}")).collect();
        let degrees = [own, part.term().0];
        // A bias beside a map of θ's lower layers makes a sum in which neither has a degree alone.
        let alone = if kept[0] && kept[1] && below.order > 0.0 { f64::NAN } else { 1.0 };
        let of = |k: usize| if kept[k] && degrees[k] > 0.0 { alone * degrees[k] } else { 0.0 };
        Affine {
            piece,
            blocks: vec![of(0), of(1)],
            own_degree: if kept[0] { own } else { degrees[1] },
            input_degree: if kept[0] { alone } else { 0.0 },
            dropped,
            keeps: [kept[0], kept[1]],
        }
    }

    /// Whether the homogenization leaves out the weight, and the bias.
    pub(super) fn without(&self) -> (bool, bool) {
        (!self.keeps[0], !self.keeps[1])
    }

    /// As the rise of a layer whose homogenization is `limit`.
    pub(super) fn rise(self, limit: Box<dyn Layer>) -> Rise {
        let Affine { piece, blocks, own_degree, input_degree, dropped, .. } = self;
        Rise { blocks, own_degree, input_degree, dropped, ..Rise::plain(piece, limit) }
    }
}
