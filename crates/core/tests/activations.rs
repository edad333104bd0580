//! Every registered activation against what it says of itself, central differences, and extended precision.

mod common;

use common::{assert_close, normals, parse};
use dashu_float::FBig;
use dashu_float::ops::SquareRoot;
use dashu_float::round::mode::HalfEven;
use latephase_core::model::layer::Nonlinearity;
use latephase_core::model::layer::activation::{Curve, Facts};

type Big = FBig<HalfEven, 2>;

const BITS: usize = 200;

fn big(x: f64) -> Big {
    Big::try_from(x).expect("a finite number").with_precision(BITS).value()
}

/// The catalogue's examples, and other settings of those that have any.
fn all() -> Vec<(String, Nonlinearity)> {
    let mut list: Vec<_> =
        Nonlinearity::NAMES.iter().map(|n| ((*n).to_owned(), Nonlinearity::example(n))).collect();
    for text in [
        "kind = 'leaky-relu'\nslope = -0.5",
        "kind = 'relu-power'\np = 1.0",
        "kind = 'relu-power'\np = 2.5",
        "kind = 'elu'\nalpha = 0.3",
        "kind = 'elu'\nalpha = 2.0",
        "kind = 'huber-relu'\nh = 0.25",
        "kind = 'leaky'\nof = 'gelu'\nc = 0.2",
        "kind = 'leaky'\nof = 'tanh'\nc = 0.5",
        "kind = 'leaky'\nof = 'hardswish'\nc = 1.0",
        "kind = 'leaky'\nof = { kind = 'leaky', of = 'silu', c = 0.5 }\nc = 0.5",
    ] {
        list.push((text.replace('\n', ", "), parse(text)));
    }
    list
}

fn for_each(law: impl Fn(&str, &dyn Curve, &Facts)) {
    for (name, activation) in all() {
        let curve = activation.build();
        curve.check().unwrap_or_else(|e| panic!("{name}: {e}"));
        law(&name, curve.as_ref(), &curve.facts());
    }
}

/// Places of every size, dense around the kinks and the extremes.
fn places() -> Vec<f64> {
    let mut places: Vec<f64> = (-4000..=4000).map(|k| f64::from(k) / 400.0).collect();
    for power in -40..=40 {
        let z = 1.7 * 10f64.powf(f64::from(power) / 10.0);
        places.extend([z, -z]);
    }
    places.extend(normals(1, "places", 2000).iter().map(|z| 3.0 * z));
    places
}

/// σ_H at z, 0 for a saturating σ.
fn homogenized(facts: &Facts, z: f64) -> f64 {
    facts.homogenized.as_ref().map_or(0.0, |h| h.build().value(z))
}

/// The supremum of a function on the line: a grid refined by golden section, and both infinities.
fn supremum(f: impl Fn(f64) -> f64) -> f64 {
    let step = 1.0 / 64.0;
    let best = (-640..=640).map(|k| f64::from(k) * step).max_by(|a, b| f(*a).total_cmp(&f(*b))).unwrap();
    let (mut a, mut b) = (best - step, best + step);
    let ratio = 0.5 * (5f64.sqrt() - 1.0);
    for _ in 0..80 {
        let (c, d) = (b - ratio * (b - a), a + ratio * (b - a));
        if f(c) > f(d) { b = d } else { a = c }
    }
    [best, 0.5 * (a + b), -700.0, 700.0].map(f).into_iter().fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn slopes_agree_with_central_differences() {
    for_each(|name, curve, facts| {
        let h = 1e-5;
        for z in places().into_iter().filter(|z| z.abs() < 30.0) {
            // At the corner of ELU, and of powers below 3, the second derivative jumps.
            let cornered = ["power", "elu"].iter().any(|n| name.contains(n)) && z.abs() < 1e-2;
            if cornered || facts.kinks.iter().any(|k| (z - k).abs() <= h) {
                continue;
            }
            let numeric = (curve.value(z + h) - curve.value(z - h)) / (2.0 * h);
            // h²σ'''/6 and 2⁻⁵³|σ|/h; a rounded corner has an error of h·σ''-jump.
            let allowed =
                1e-9 * (1.0 + curve.value(z).abs()) + if name.contains("huber") { 1e-4 } else { 0.0 };
            let slope = curve.slope(z, 0.0);
            assert!((slope - numeric).abs() <= allowed, "{name} at {z}: {slope} against {numeric}");
        }
    });
}

#[test]
fn the_registry_is_reproduced_by_maximisation() {
    // cai-2025, the registry: e_σ and sup |σ − σ_H|, printed to six digits.
    for (text, e, gap) in [
        ("kind = 'relu'", 0.0, 0.0),
        ("kind = 'leaky-relu'", 0.0, 0.0),
        ("kind = 'abs'", 0.0, 0.0),
        ("kind = 'identity'", 0.0, 0.0),
        ("kind = 'softplus'", std::f64::consts::LN_2, std::f64::consts::LN_2),
        ("kind = 'silu'", 0.439229, 0.278465),
        ("kind = 'gelu'", 0.293525, 0.169971),
        ("kind = 'gelu-tanh'", 0.293883, 0.170041),
        ("kind = 'mish'", 0.477897, 0.308843),
        ("kind = 'hardswish'", 1.5, 0.375),
        ("kind = 'elu'\nalpha = 0.7", 0.7, 0.7),
        ("kind = 'huber-relu'\nh = 0.5", 0.25, 0.25),
        ("kind = 'leaky'\nof = 'silu'\nc = 0.25", 0.75 * 0.439229, 0.75 * 0.278465),
    ] {
        let curve = parse::<Nonlinearity>(text).build();
        let facts = curve.facts();
        // At a kink of σ' both one-sided slopes count.
        let defect = |z: f64| {
            [0.0, 1.0]
                .map(|k| (z * curve.slope(z, k) - facts.power * curve.value(z)).abs())
                .into_iter()
                .fold(0.0, f64::max)
        };
        let (defect, off) = (supremum(defect), supremum(|z| (curve.value(z) - homogenized(&facts, z)).abs()));
        assert!((defect - e).abs() <= 1e-6, "{text}: e_sigma {defect} against {e}");
        assert!((off - gap).abs() <= 1e-6, "{text}: gap {off} against {gap}");
        assert!((facts.defect - defect).abs() <= 1e-14, "{text}: {} against {defect}", facts.defect);
        assert!((facts.gap - off).abs() <= 1e-14, "{text}: {} against {off}", facts.gap);
        let steepest = supremum(|z| curve.slope(z, 0.0).max(curve.slope(z, 1.0)));
        let flattest = -supremum(|z| -curve.slope(z, 0.0).min(curve.slope(z, 1.0)));
        assert!(
            (facts.slopes[1] - steepest).abs() <= 1e-14,
            "{text}: {} against {steepest}",
            facts.slopes[1]
        );
        assert!(
            (facts.slopes[0] - flattest).abs() <= 1e-14,
            "{text}: {} against {flattest}",
            facts.slopes[0]
        );
    }
    let gelu = Nonlinearity::example("gelu").facts();
    let density = (-1.0f64).exp() / std::f64::consts::TAU.sqrt();
    assert_close(gelu.defect, 2.0 * density, 4e-16, "e of GELU is 2 phi(sqrt 2)");
}

#[test]
fn the_facts_bound_every_place() {
    for_each(|name, curve, facts| {
        for z in places() {
            let (value, rounding) = (curve.value(z), 4.0 * f64::EPSILON);
            for at_kink in [0.0, 0.5, 1.0] {
                let slope = curve.slope(z, at_kink);
                let defect = (z * slope - facts.power * value).abs();
                let size = (z * slope).abs() + facts.power * value.abs();
                // A power of z^{2.5} is good to a few roundings more.
                assert!(defect <= facts.defect + 4.0 * rounding * size, "{name} at {z}: defect {defect}");
                let per =
                    if z == 0.0 && facts.power > 1.0 { 0.0 } else { slope / z.abs().powf(facts.power - 1.0) };
                let room = 1e-14 * facts.lipschitz();
                let inside = facts.slopes[0] - room <= per && per <= facts.slopes[1] + room;
                assert!(z == 0.0 || inside, "{name} at {z}: slope {per}");
            }
            let off = (value - homogenized(facts, z)).abs();
            assert!(
                off <= facts.gap + rounding * value.abs(),
                "{name} at {z}: {off} from its homogenization"
            );
        }
    });
}

#[test]
fn far_away_an_activation_is_its_homogenization() {
    for_each(|name, curve, facts| {
        for z in [-2.0, -0.3, 0.4, 1.5] {
            for r in [1e3, 1e6, 1e9] {
                let scaled = curve.value(r * z) / r.powf(facts.power);
                let allowed = facts.gap / r.powf(facts.power) + 1e-14 * scaled.abs();
                let h = homogenized(facts, z);
                assert!((scaled - h).abs() <= allowed, "{name}: {scaled} against {h} at {r:e}");
            }
        }
        if let Ok(h) = &facts.homogenized {
            let own = h.facts();
            assert_eq!(
                (own.defect, own.gap, own.power),
                (0.0, 0.0, facts.power),
                "{name}: sigma_H is homogeneous"
            );
        }
    });
    for name in ["tanh", "sigmoid", "erf"] {
        let why = Nonlinearity::example(name).facts().homogenized.unwrap_err();
        assert_eq!(why, format!("{name} saturates: its homogenization is zero"));
    }
}

#[test]
fn slopes_jump_at_the_stated_kinks_and_nowhere_else() {
    for_each(|name, curve, facts| {
        let h = 1e-9;
        for z in facts.kinks.iter().copied().chain([-3.0, -1.0, 0.0, 0.25, 1.0, 3.0]) {
            let (left, right) = (curve.slope(z - h, 0.0), curve.slope(z + h, 0.0));
            // A power of 2.5 has an unbounded second derivative only below 2; here slopes move by h·σ''.
            let jumps = (left - right).abs() > 1e-6;
            assert_eq!(jumps, facts.kinks.contains(&z), "{name} at {z}: {left} {right}");
            for at_kink in [0.0, 0.25, 1.0] {
                let between = left + at_kink * (right - left);
                assert!((curve.slope(z, at_kink) - between).abs() < 1e-7, "{name} at {z}, weight {at_kink}");
            }
        }
    });
}

#[test]
fn slices_are_the_entries_and_nan_is_seen() {
    for_each(|name, curve, _| {
        let mut x = normals(4, name, 37);
        x.extend([0.0, -0.0, 3.0, -3.0, 1e300, -1e300, 800.0, -800.0, f64::MIN_POSITIVE]);
        let dy = normals(5, name, x.len());
        let (mut y, mut dx) = (vec![f64::NAN; x.len()], vec![f64::NAN; x.len()]);
        curve.values(&x, &mut y);
        for at_kink in [0.0, 0.3] {
            curve.slopes(&x, &dy, &mut dx, at_kink);
            for k in 0..x.len() {
                // Vectors may contract a product and a sum into one rounding.
                let (value, slope) = (curve.value(x[k]), curve.slope(x[k], at_kink) * dy[k]);
                assert!(
                    value.is_finite() || name.contains("quad") || name.contains("power"),
                    "{name}: {}",
                    x[k]
                );
                assert!(!slope.is_nan(), "{name}: slope at {}", x[k]);
                assert!(
                    y[k] == value || (y[k] - value).abs() <= 4e-16 * value.abs().max(x[k].abs()),
                    "{name}"
                );
                assert!(
                    dx[k] == slope || (dx[k] - slope).abs() <= 4e-16 * dy[k].abs(),
                    "{name}: {} {slope}",
                    dx[k]
                );
            }
        }
        curve.values(&[f64::NAN], &mut y[..1]);
        assert!(y[0].is_nan(), "{name} hides a NaN");
    });
}

// The tails, in extended precision.

/// erfc(t) for t ≥ 1 by its continued fraction.
fn erfc(t: &Big) -> Big {
    let mut below = t.clone();
    for k in (1..1500).rev() {
        below = t + big(f64::from(k)) / big(2.0) / &below;
    }
    (-(t * t)).exp() / (pi().sqrt() * below)
}

fn pi() -> Big {
    // Machin: 16 arctan(1/5) − 4 arctan(1/239).
    let arctan = |n: f64| {
        let (x, mut sum, mut sign) = (big(1.0) / big(n), big(0.0), 1.0);
        let mut power = x.clone();
        for k in 0..100 {
            sum += &power * big(sign) / big(f64::from(2 * k + 1));
            power = &power * &x * &x;
            sign = -sign;
        }
        sum
    };
    big(16.0) * arctan(5.0) - big(4.0) * arctan(239.0)
}

/// σ(z) and σ'(z) from the definitions.
fn truth(name: &str, z: f64) -> [Big; 2] {
    let (one, two, z) = (big(1.0), big(2.0), big(z));
    // 1 + e^z needs as many bits more as e^z is small.
    let wide = |x: Big| x.with_precision(BITS + 1500).value();
    let e = wide(z.clone()).exp();
    let one_e = wide(one.clone()) + &e;
    match name {
        "softplus" => [one_e.ln(), &e / &one_e],
        "sigmoid" => [&e / &one_e, &e / (&one_e * &one_e)],
        "silu" => [&z * &e / &one_e, &e / &one_e * (&one + &z / &one_e)],
        "mish" => {
            let n = &e * (&e + &two);
            let omega = &n / (&n + &two);
            let slope = big(4.0) * (&n + &one) / ((&n + &two) * (&n + &two)) * &e / &one_e;
            [&z * &omega, omega + &z * slope]
        }
        "elu" => [&e - &one, e.clone()],
        "tanh" => {
            let square = &e * &e;
            let below = &square + &one;
            [(&square - &one) / &below, big(4.0) * &square / (&below * &below)]
        }
        "gelu" => {
            let root = two.sqrt();
            let cdf = erfc(&(-&z / &root)) / &two;
            let density = (-(&z * &z) / &two).exp() / (&two * pi()).sqrt();
            [&z * &cdf, cdf + &z * density]
        }
        other => panic!("no definition of {other}"),
    }
}

#[test]
fn the_tails_are_good_to_the_last_digits() {
    for name in ["softplus", "sigmoid", "silu", "mish", "elu", "tanh", "gelu"] {
        let curve = Nonlinearity::example(name).build();
        for z in [-1.5, -2.3, -5.1, -8.7, -14.2, -20.3, -26.1, -36.9, -37.4] {
            for (what, ours, truth) in ["value", "slope"]
                .into_iter()
                .zip([curve.value(z), curve.slope(z, 0.0)])
                .zip(truth(name, z))
                .map(|((what, ours), truth)| (what, ours, truth.to_f64().value()))
            {
                // A few roundings, and the cancellation of Φ + zφ near its zero.
                assert_close(ours, truth, 4e-15, &format!("{name}, {what} at {z}"));
            }
        }
        if name == "gelu" {
            continue;
        }
        for z in [-700.3, -300.1, -100.7, 40.3, 700.3] {
            // f64's own exp is good to an ulp of its result at any argument.
            if name == "elu" && z > 0.0 {
                continue;
            }
            let [value, slope] = truth(name, z);
            if value.to_f64().value().abs() > 1e-300 {
                assert_close(curve.value(z), value.to_f64().value(), 4e-15, &format!("{name} at {z}"));
            }
            if slope.to_f64().value() > 1e-300 {
                assert_close(curve.slope(z, 0.0), slope.to_f64().value(), 4e-15, &format!("{name}' at {z}"));
            }
        }
    }
    // erf'(z) = (2/√π)e^{−z²} with the whole of z².
    let erf = Nonlinearity::example("erf").build();
    for z in [0.3f64, 2.7, 9.1, 21.3, -25.9] {
        let slope = big(2.0) / pi().sqrt() * (-(big(z) * big(z))).exp();
        assert_close(erf.slope(z, 0.0), slope.to_f64().value(), 1e-15, "erf'");
    }
}

#[test]
fn specs_name_activations_as_before_and_say_what_is_wrong() {
    #[derive(serde::Deserialize)]
    struct Spec {
        a: Nonlinearity,
    }
    let read = |text: &str| toml::from_str::<Spec>(text).map(|s| s.a).map_err(|e| e.to_string());
    assert_eq!(read("a = 'relu'").unwrap().name(), "relu");
    assert_eq!(read("a = { kind = 'leaky-relu', slope = 0.1 }").unwrap().build().value(-1.0), -0.1);
    assert_eq!(read("a = { kind = 'leaky-relu' }").unwrap().build().value(-1.0), -0.01);
    assert_eq!(read("a = 'relu-power'").unwrap().power(), 2.0);
    let message = |text: &str| match read(text) {
        Err(e) => e,
        Ok(a) => a.check().expect_err(text).to_string(),
    };
    for (text, says) in [
        ("a = 'swish'", "unknown activation `swish`"),
        ("a = { kind = 'relu', slope = 1.0 }", "slope"),
        ("a = { kind = 'relu-power', p = 0.5 }", "activation.p: 0.5 is not a power"),
        ("a = { kind = 'leaky-relu', slope = inf }", "activation.slope: inf is not a slope"),
        ("a = { kind = 'elu', alpha = -1.0 }", "activation.alpha"),
        ("a = { kind = 'huber-relu', h = 0.0 }", "activation.h"),
        ("a = { kind = 'leaky', of = 'relu', c = 2.0 }", "activation.c: 2 is not in [0, 1]"),
        ("a = { kind = 'leaky', of = 'quadratic' }", "activation.of: quadratic has degree 2"),
        ("a = { kind = 'leaky', of = { kind = 'elu', alpha = nan } }", "activation.of.alpha"),
    ] {
        let message = message(text);
        assert!(message.contains(says), "{text}: {message}");
    }
    // A spec is written back as it is read.
    for (name, activation) in all() {
        let text = toml::to_string(&activation).unwrap();
        let again: Nonlinearity = parse(&text);
        assert_eq!(toml::to_string(&again).unwrap(), text, "{name}");
    }
}
