//! Measures against what they are of curves known in closed form.

use std::path::Path;

use super::*;

/// Looks at ln(1/L) = u with step = u² and y = f(u).
fn seen(f: impl Fn(f64) -> f64) -> Seen<'static> {
    let u: Vec<f64> = (0..=60).map(|k| 10f64.powf(f64::from(k) / 20.0)).collect();
    let column = |name: &str, of: &dyn Fn(f64) -> f64| (name.to_owned(), u.iter().map(|u| of(*u)).collect());
    let columns = vec![
        column("step", &|u| u * u),
        column("ln_loss", &|u| -u),
        column("log10_loss", &|u| -u / std::f64::consts::LN_10),
        column("y", &f),
    ];
    Seen { dir: Path::new("nowhere"), columns: Columns(columns) }
}

fn measured(text: &str, run: &Seen<'_>) -> f64 {
    let table: toml::Table = toml::from_str(&format!("m = {text}")).expect("TOML");
    let measure: Measure = table["m"].clone().try_into().expect("a measure");
    measure.part().check().expect("settings that measure");
    measure.part().of(run, &Place::default()).expect("no file is read")
}

#[test]
fn the_slope_in_logarithms_is_the_power_and_without_them_the_coefficient() {
    let log = |of: &str| {
        format!("{{ slope = {{ column = 'y', against = '{of}', column_log = true, against_log = true }} }}")
    };
    // Rounding of logarithms of order 10 against a span of order 5.
    assert!((measured(&log("ln(1/L)"), &seen(|u| 3.0 * u.powf(-1.5))) + 1.5).abs() < 1e-13);
    assert!((measured(&log("step"), &seen(|u| u * u * u)) - 1.5).abs() < 1e-13);
    // Of a negative column it is the power of its size.
    assert!((measured(&log("ln(1/L)"), &seen(|u| -3.0 * u.powf(-1.5))) + 1.5).abs() < 1e-13);
    let plain = "{ slope = { column = 'y', against = 'ln(1/L)' } }";
    assert!((measured(plain, &seen(|u| 2.0 - 0.25 * u)) + 0.25).abs() < 1e-13);
}

#[test]
fn decades_leave_out_the_beginning() {
    // y turns at u = 100, a decade before the end at u = 1000.
    let turned = seen(|u| if u < 100.0 { 1.0 } else { 100.0 / u });
    let over = |decades: &str| {
        let text = format!(
            "{{ slope = {{ column = 'y', against = 'ln(1/L)', column_log = true, against_log = true{decades} }} }}"
        );
        measured(&text, &turned)
    };
    assert!((over(", decades = 0.999") + 1.0).abs() < 1e-12);
    assert!(over("") > -0.5);
}

#[test]
fn extremes_and_first_passages_are_found_where_they_are() {
    // A peak at u = 10, which is the look with step 100.
    let bump = seen(|u| -(u.log10() - 1.0).powi(2));
    assert_eq!(measured("{ peak = 'y' }", &bump), 0.0);
    assert!((measured("{ peak-step = 'y' }", &bump) - 100.0).abs() < 1e-12);
    assert_eq!(measured("{ least = 'y' }", &bump), -4.0);
    // Up to 3 at u = 10, then down to 1 + 2·(10/1000).
    let fallen = seen(|u| if u <= 10.0 { 1.0 + 2.0 * u / 10.0 } else { 1.0 + 20.0 / u });
    assert!((measured("{ of-peak = 'y' }", &fallen) - 1.02 / 3.0).abs() < 1e-12);
    let passes = "{ first-step = { column = 'y', at_least = -0.2501 } }";
    assert!((measured(passes, &bump) - 10.0).abs() < 1e-12);
    let falls = "{ first-step = { column = 'log10_loss', at_most = -100.0 } }";
    let step = measured(falls, &bump);
    assert!((230.2f64.powi(2)..259.0f64.powi(2)).contains(&step), "{step}");
}

#[test]
fn what_was_never_measured_or_passed_is_nan() {
    let gaps = seen(|_| f64::NAN);
    for text in [
        "{ peak = 'y' }",
        "{ peak-step = 'y' }",
        "{ least = 'none' }",
        "{ trend = 'y' }",
        "{ column = 'none' }",
    ] {
        assert!(measured(text, &gaps).is_nan(), "{text}");
    }
    assert!(measured("{ first-step = { column = 'step', at_least = 1e9 } }", &gaps).is_nan());
    assert!(measured("{ slope = { column = 'y', against = 'step' } }", &gaps).is_nan());
}

#[test]
fn gaps_do_not_hide_a_peak() {
    let gaps = seen(|u| if u < 10.0 { f64::NAN } else { 1.0 / u });
    assert!((measured("{ peak = 'y' }", &gaps) - 0.1).abs() < 1e-15);
}

#[test]
fn a_measure_that_is_none_is_answered_with_those_that_are() {
    let table: toml::Table = toml::from_str("m = { summit = 'y' }").expect("TOML");
    let error = table["m"].clone().try_into::<Measure>().expect_err("no such measure").to_string();
    assert!(Measure::NAMES.iter().all(|name| error.contains(name)), "{error}");
    for wrong in [
        FirstStep { column: "y".into(), at_least: None, at_most: None }.check(),
        Slope {
            column: "y".into(),
            against: "x".into(),
            column_log: false,
            against_log: false,
            decades: Some(0.0),
        }
        .check(),
    ] {
        assert!(wrong.is_err());
    }
}

#[test]
fn a_rise_is_the_least_factor_between_levels() {
    let text = "{ rises = { column = 'y', levels = [-1, -10, -100] } }";
    // y = √u grows by √10 from each level to the next, between looks up to their spacing of a twentieth of a decade.
    assert!((measured(text, &seen(f64::sqrt)) / 10f64.sqrt() - 1.0).abs() < 2e-3);
    let falling = measured(text, &seen(|u| if u < 100.0 { u } else { 1000.0 / u }));
    assert!(falling < 1.0, "{falling}");
    assert!(measured("{ rises = { column = 'y', levels = [-1, -1000] } }", &seen(f64::sqrt)).is_nan());
    for bad in ["[-1]", "[-10, -1]", "[-1, -1]"] {
        let table: toml::Table =
            toml::from_str(&format!("m = {{ rises = {{ column = 'y', levels = {bad} }} }}")).expect("TOML");
        let measure: Measure = table["m"].clone().try_into().expect("a measure");
        assert!(measure.part().check().is_err(), "{bad}");
    }
}
