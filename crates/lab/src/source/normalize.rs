//! What is done to the inputs before training: scaling, centring, unit rows.
//!
//! Statistics are those of the training set and are applied to the test set as they are.

use serde::{Deserialize, Serialize};

use super::random::norm;

/// How inputs are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Normalize {
    /// As they stand in the file.
    None,
    /// Divided by the format's maximum (16 for the digits, 255 for bytes), or where the format has none by the
    /// largest absolute entry of the training set.
    Scale,
    /// Each row divided by its ‖·‖₂; a zero row stays zero.
    UnitRows,
    /// The format's scale, then minus the mean of each column.
    Center,
    /// Each column with mean 0 and variance 1. A column that is constant over the training set is only centred.
    Standardize,
    /// Divided by the largest ‖x‖₂ of the training set, so that ‖x‖ ≤ 1 there.
    MaxNorm,
}

impl Normalize {
    /// Normalises rows of `dim` numbers in place. `format_max` is the largest entry the format allows.
    pub(super) fn apply(self, format_max: Option<f64>, dim: usize, train: &mut [f64], test: &mut [f64]) {
        match self {
            Normalize::None => {}
            Normalize::Scale => {
                let largest = format_max.unwrap_or_else(|| train.iter().fold(0.0, |m, x| x.abs().max(m)));
                divide(largest, train, test);
            }
            Normalize::UnitRows => {
                for row in train.chunks_exact_mut(dim).chain(test.chunks_exact_mut(dim)) {
                    let length = norm(row);
                    divide(length, row, &mut []);
                }
            }
            Normalize::Center => {
                divide(format_max.unwrap_or(1.0), train, test);
                for column in 0..dim {
                    let mean = mean(train, dim, column);
                    shift_and_divide(mean, 1.0, dim, column, train, test);
                }
            }
            Normalize::Standardize => {
                for column in 0..dim {
                    let mean = mean(train, dim, column);
                    let deviation = deviation(train, dim, column, mean);
                    shift_and_divide(mean, deviation, dim, column, train, test);
                }
            }
            Normalize::MaxNorm => {
                let largest = train.chunks_exact(dim).map(norm).fold(0.0, f64::max);
                divide(largest, train, test);
            }
        }
    }
}

fn divide(by: f64, train: &mut [f64], test: &mut [f64]) {
    if by > 0.0 {
        train.iter_mut().chain(test).for_each(|x| *x /= by);
    }
}

fn shift_and_divide(
    mean: f64,
    deviation: f64,
    dim: usize,
    column: usize,
    train: &mut [f64],
    test: &mut [f64],
) {
    for x in train.iter_mut().skip(column).step_by(dim).chain(test.iter_mut().skip(column).step_by(dim)) {
        *x = (*x - mean) / deviation;
    }
}

/// The mean of a column; of a constant one exactly its value.
fn mean(rows: &[f64], dim: usize, column: usize) -> f64 {
    let values = || rows.iter().skip(column).step_by(dim);
    let first = values().next().copied().unwrap_or(0.0);
    if values().all(|x| *x == first) {
        return first;
    }
    let n = (rows.len() / dim) as f64;
    values().map(|x| x / n).sum()
}

/// The standard deviation of a column (over n, not n − 1), or 1 where it is 0.
fn deviation(rows: &[f64], dim: usize, column: usize, mean: f64) -> f64 {
    let centred: Vec<f64> = rows.iter().skip(column).step_by(dim).map(|x| x - mean).collect();
    let deviation = norm(&centred) / (centred.len() as f64).sqrt();
    if deviation > 0.0 { deviation } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows (1, 7), (3, 7), (8, 7): the second column is constant.
    const ROWS: [f64; 6] = [1.0, 7.0, 3.0, 7.0, 8.0, 7.0];

    fn after(normalize: Normalize) -> (Vec<f64>, Vec<f64>) {
        let (mut train, mut test) = (ROWS.to_vec(), vec![4.0, 9.0]);
        normalize.apply(None, 2, &mut train, &mut test);
        (train, test)
    }

    #[test]
    fn standardized_columns_have_mean_zero_and_variance_one_and_constants_become_zero() {
        let (train, test) = after(Normalize::Standardize);
        let first: Vec<f64> = train.iter().copied().step_by(2).collect();
        assert!(first.iter().sum::<f64>().abs() < 1e-15);
        assert!((first.iter().map(|x| x * x).sum::<f64>() / 3.0 - 1.0).abs() < 1e-15);
        assert!(train.iter().skip(1).step_by(2).all(|x| *x == 0.0));
        // Mean 4 of the training column; the constant column is only centred.
        assert!(test[0].abs() < 1e-15);
        assert_eq!(test[1], 2.0);
    }

    #[test]
    fn unit_rows_have_norm_one_and_zero_rows_stay() {
        let mut rows = vec![3.0, 4.0, 0.0, 0.0];
        Normalize::UnitRows.apply(None, 2, &mut rows, &mut []);
        assert_eq!(rows, [0.6, 0.8, 0.0, 0.0]);
    }

    #[test]
    fn scale_and_max_norm_use_the_training_set_alone() {
        assert_eq!(after(Normalize::Scale).1, [0.5, 9.0 / 8.0]);
        let (train, _) = after(Normalize::MaxNorm);
        let largest = train.chunks(2).map(norm).fold(0.0, f64::max);
        assert!((largest - 1.0).abs() < 1e-15);
    }

    #[test]
    fn an_all_zero_set_stays_zero_under_every_normalisation() {
        use Normalize::*;
        for normalize in [None, Scale, UnitRows, Center, Standardize, MaxNorm] {
            let mut rows = vec![0.0; 6];
            normalize.apply(Option::None, 2, &mut rows, &mut []);
            assert_eq!(rows, [0.0; 6], "{normalize:?}");
        }
    }
}
