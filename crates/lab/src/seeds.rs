//! The same number over several seeds: mean, spread, and how well the mean is known.
//!
//! The interval of the mean is the percentile bootstrap's (Efron & Tibshirani 1993, chapter 13): resample the n values
//! with replacement, take the mean, and read off the 2.5 % and 97.5 % points. The draws come from a stream of their own
//! with a fixed seed, so that the interval is a function of the values.

use latephase_core::rng::stream;
use rand::distr::{Distribution, Uniform};
use serde::Deserialize;

/// Resamples behind an interval.
const RESAMPLES: usize = 2000;
/// What an interval leaves out on either side.
const TAIL: f64 = 0.025;

/// Which seeds a recipe's variants are run with.
#[derive(Clone, Debug, PartialEq)]
pub enum Seeds {
    /// This many, from the spec's own seed upwards.
    Count(u64),
    /// These.
    List(Vec<u64>),
}

impl Seeds {
    /// The seeds, given the spec's own.
    pub fn from(&self, base: u64) -> Vec<u64> {
        match self {
            Seeds::Count(n) => (0..*n).map(|k| base.wrapping_add(k)).collect(),
            Seeds::List(list) => list.clone(),
        }
    }

    /// The first `n` of them.
    pub fn first(&self, n: u64) -> Seeds {
        match self {
            Seeds::Count(all) => Seeds::Count(n.min(*all)),
            Seeds::List(list) => Seeds::List(list.iter().copied().take(n as usize).collect()),
        }
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let wrong = |given: &toml::Value| {
            D::Error::custom(format!(
                "{given} are no seeds; write a number of runs, such as 3, or a list of seeds that differ, such as \
                 [1, 2, 5]"
            ))
        };
        let value = toml::Value::deserialize(d)?;
        match &value {
            toml::Value::Integer(n @ 1..) => Ok(Seeds::Count(*n as u64)),
            toml::Value::Array(list) if !list.is_empty() => {
                let seed = |v: &toml::Value| v.as_integer().and_then(|s| u64::try_from(s).ok());
                let seeds: Option<Vec<u64>> = list.iter().map(seed).collect();
                let seeds = seeds.ok_or_else(|| wrong(&value))?;
                let twice = seeds.iter().enumerate().any(|(k, s)| seeds[..k].contains(s));
                if twice { Err(wrong(&value)) } else { Ok(Seeds::List(seeds)) }
            }
            _ => Err(wrong(&value)),
        }
    }
}

/// A number over several runs. What is not finite is not known and is left out; `known` says of how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// How many values are known.
    pub known: usize,
    /// Their mean; NaN where none is.
    pub mean: f64,
    /// Their standard deviation (n − 1); NaN below two.
    pub sd: f64,
    /// A 95 % interval of the mean; none below two.
    pub interval: Option<[f64; 2]>,
}

impl Spread {
    /// The spread of some values.
    pub fn of(values: &[f64]) -> Spread {
        let known: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let n = known.len() as f64;
        let mean = mean(&known);
        let squares: f64 = known.iter().map(|v| (v - mean) * (v - mean)).sum();
        let sd = if known.len() < 2 { f64::NAN } else { (squares / (n - 1.0)).sqrt() };
        Spread { known: known.len(), mean, sd, interval: interval(&known) }
    }
}

fn mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    // Divided first: numbers of 1e308 have a mean, and their sum is infinite.
    values.iter().map(|v| v / values.len() as f64).sum()
}

/// The percentile bootstrap's 95 % interval of the mean; none for fewer than two values.
pub fn interval(values: &[f64]) -> Option<[f64; 2]> {
    if values.len() < 2 {
        return None;
    }
    let pick = Uniform::new(0, values.len()).ok()?;
    let mut rng = stream(0, "bootstrap", 0);
    let mut sample = vec![0.0; values.len()];
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            sample.iter_mut().for_each(|s| *s = values[pick.sample(&mut rng)]);
            mean(&sample)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    // Linear between the order statistics.
    let point = |p: f64| {
        let place = p * (RESAMPLES - 1) as f64;
        let (k, part) = (place.floor() as usize, place.fract());
        means[k] + part * (means[(k + 1).min(RESAMPLES - 1)] - means[k])
    };
    Some([point(TAIL), point(1.0 - TAIL)])
}

#[cfg(test)]
mod tests {
    use rand_distr::StandardNormal;

    use super::*;

    fn normals(seed: u64, n: usize) -> Vec<f64> {
        let mut rng = stream(seed, "bootstrap.test", 0);
        (0..n).map(|_| StandardNormal.sample(&mut rng)).collect()
    }

    #[test]
    fn mean_and_deviation_are_those_of_the_formulas() {
        let spread = Spread::of(&[1.0, 2.0, 4.0, 9.0]);
        // Σ(v − 4)² = 9 + 4 + 0 + 25 = 38.
        assert_eq!((spread.known, spread.mean), (4, 4.0));
        assert!((spread.sd - (38.0f64 / 3.0).sqrt()).abs() < 1e-15);
        let far = Spread::of(&[1.5e308, 1.0e308]);
        assert!((far.mean / 1.25e308 - 1.0).abs() < 1e-15, "a sum beyond f64 has a mean");
    }

    #[test]
    fn one_value_has_no_interval_and_none_has_no_mean() {
        let one = Spread::of(&[3.0]);
        assert_eq!((one.known, one.mean, one.interval), (1, 3.0, None));
        assert!(one.sd.is_nan());
        let none = Spread::of(&[f64::NAN, f64::INFINITY]);
        assert!(none.known == 0 && none.mean.is_nan() && none.sd.is_nan() && none.interval.is_none());
        assert_eq!(Spread::of(&[1.0, f64::NAN, 3.0]).known, 2);
    }

    // The resampled mean has standard deviation s√((n−1)/n)/√n, so the interval is close to ±1.96 of it. An end point
    // from 2000 resamples is off by √(p(1−p)/2000)/density(1.96) = 0.06 of that deviation.
    #[test]
    fn the_interval_has_the_width_of_the_normal_one() {
        let values = normals(1, 400);
        let spread = Spread::of(&values);
        let [low, high] = spread.interval.expect("400 values");
        let deviation = spread.sd * (399.0f64 / 400.0).sqrt() / 20.0;
        assert!(((high - low) / (2.0 * 1.96 * deviation) - 1.0).abs() < 0.1, "{low} to {high}");
        assert!(low < spread.mean && spread.mean < high);
    }

    // For n normal values the interval is nearly mean ± 1.96·s√((n−1)/n)/√n: at n = 20 it covers 0 when |t₁₉| < 1.910,
    // which has probability 0.929. Over 1000 samples the count has a standard deviation of 8.
    #[test]
    fn the_interval_covers_the_mean_of_a_normal_sample_as_often_as_it_should() {
        let covers = |seed: u64| {
            let [low, high] = interval(&normals(seed, 20)).expect("20 values");
            low <= 0.0 && 0.0 <= high
        };
        let count = (0..1000).filter(|&seed| covers(seed)).count();
        assert!((895..=960).contains(&count), "{count} of 1000");
    }

    #[test]
    fn the_interval_moves_and_stretches_with_the_values_and_repeats() {
        let values = normals(2, 7);
        let [low, high] = interval(&values).expect("7 values");
        assert_eq!(interval(&values), Some([low, high]));
        let moved: Vec<f64> = values.iter().map(|v| 4.0 * v + 32.0).collect();
        let [a, b] = interval(&moved).expect("7 values");
        assert!((a - (4.0 * low + 32.0)).abs() < 1e-13 && (b - (4.0 * high + 32.0)).abs() < 1e-13);
    }

    #[test]
    fn seeds_are_a_number_of_runs_or_a_list_without_repeats() {
        let read = |text: &str| {
            let table: toml::Table = toml::from_str(&format!("seeds = {text}")).expect("TOML");
            table["seeds"].clone().try_into::<Seeds>()
        };
        assert_eq!(read("3").map(|s| s.from(7)), Ok(vec![7, 8, 9]));
        assert_eq!(read("[4, 1]").map(|s| s.from(7)), Ok(vec![4, 1]));
        assert_eq!(read("[4, 1, 2]").map(|s| s.first(2)), Ok(Seeds::List(vec![4, 1])));
        for wrong in ["0", "-1", "[]", "[1, 1]", "[1, -1]", "\"three\"", "1.5"] {
            let error = read(wrong).expect_err(wrong).to_string();
            assert!(error.contains("are no seeds; write a number of runs"), "{error}");
        }
    }
}
