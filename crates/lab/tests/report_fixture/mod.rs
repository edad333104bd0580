//! Runs with the shape of real ones: loss from 1 to 1e-1000, columns that start late, gaps, infinities, flags.
#![allow(dead_code)] // each test file takes what it needs

use latephase_lab::report::{Figure, RegionLevel, Regions, ReportRun, Trace};

/// A made-up run; `rate` shifts its curves, so that two of them can be told apart.
pub fn run(name: &str, rows: usize, rate: f64) -> ReportRun {
    let unit: Vec<f64> = (0..rows).map(|i| i as f64 / (rows - 1) as f64).collect();
    let column = |name: &str, f: &dyn Fn(f64) -> f64| {
        (name.to_string(), unit.iter().map(|&t| f(t)).collect::<Vec<f64>>())
    };
    let log10_loss = |t: f64| 1.0 - 10f64.powf(3.0 * t * rate);
    let late = |t: f64, v: f64| if log10_loss(t) < -0.5 { v } else { f64::NAN };
    let mut columns = vec![
        column("step", &|t| (10f64.powf(5.0 * t) - 1.0).round()),
        column("evaluations", &|t| (10f64.powf(5.1 * t) - 1.0).round()),
        column("ln_time", &|t| 4.0 - log10_loss(t) * 2.3),
        column("ln_loss", &|t| log10_loss(t) * std::f64::consts::LN_10),
        column("log10_loss", &log10_loss),
        column("train_accuracy", &|t| (0.5 + 3.0 * t).min(1.0)),
        column("test_accuracy", &|t| (0.5 + 2.2 * t).min(0.94 + 0.01 * (40.0 * t).sin())),
        column("rho", &|t| (2.0 + 3.4 * t * rate).exp()),
        column("ln_rho", &|t| 2.0 + 3.4 * t * rate),
        column("margin", &|t| 0.056 * rate * (1.0 - (-6.0 * t).exp() * 1.7)),
        column("smooth_margin", &|t| late(t, 0.056 * rate * (1.0 - (-5.0 * t).exp() * 1.5))),
        column("margin_product", &|t| 0.11 * (1.0 - (-6.0 * t).exp() * 1.4)),
        column("margin_l1", &|t| 2e-5 * (1.0 - (-3.0 * t).exp() * 1.2)),
        column("margin_linf", &|t| 31.0 * (1.0 - (-7.0 * t).exp() * 1.6)),
        column("beta", &|t| 1.0 - 0.9 * (-4.0 * t * rate).exp()),
        column("direction_path", &|t| 1.9 * (1.0 - (-4.0 * t).exp())),
        column("direction_speed", &|t| if t == 0.0 { f64::INFINITY } else { 2.0 * (-5.0 * t * rate).exp() }),
        column("precision", &|t| f64::from(t > 0.93)),
        column("kkt_epsilon", &|t| late(t, 4.0 * (-2.0 * t).exp())),
        column("kkt_epsilon_fit", &|t| late(t, 3.0 * (-4.5 * t * rate).exp())),
        column("kkt_epsilon_bundle", &|t| late(t, 3.2 * (-5.5 * t * rate).exp())),
        column("kkt_delta", &|t| late(t, 10f64.powf(-3.0 * t) / 3.0)),
        column("kkt_delta_fit", &|t| late(t, 10f64.powf(-2.6 * t) / 2.0)),
        column("balance_drift", &|t| 1e-9 * t * t),
        column("kkt_radius", &|t| 0.02 - 0.01 * t),
        column("never_measured", &|_| f64::NAN),
        column("a_users_own_column", &|t| (9.0 * t).sin()),
    ];
    // Looked at rarely: isolated values between gaps.
    let rare = (0..rows).map(|i| if i % 10 == 0 { 5.0 - i as f64 / 50.0 } else { f64::NAN }).collect();
    columns.push(("support_count".into(), rare));
    ReportRun {
        claims: vec![latephase_lab::report::ReportClaim {
            id: "lyu-li/margin-sandwich".into(),
            verdict: "holds".into(),
            ..Default::default()
        }],
        references: vec![latephase_lab::report::ReferenceLine {
            column: "margin".into(),
            name: "linear".into(),
            scope: "global".into(),
            value: 0.06,
            bound: 0.06,
            ..Default::default()
        }],
        rates: vec![latephase_lab::report::ReportRate {
            id: "norm".into(),
            says: "ρ = Θ((ln t)^{1/L})".into(),
            verdict: "consistent".into(),
            ..Default::default()
        }],
        name: name.to_string(),
        columns,
        spec_toml: format!(
            "seed   = 1\nname   = \"{name}\"\ndata   = {{ kind = \"two-moons\", train = 60, noise = 0.12 }}\n\
             model  = {{ kind = \"mlp\", widths = [256], activation = \"relu\" }}\nloss   = \"logistic\"\n\
             stop   = {{ steps = 100_000, log10_loss = -1000 }}\n\
             probes = [\"margin\", \"alignment\", \"kkt\", \"direction\"]\n\n\
             [algorithm]\nkind    = \"stepped\"\ndescent = {{ kind = \"steepest\", norm = \"l2\" }}\n\
             pace    = {{ kind = \"unit-decrease\", eta = 0.02 }}\n"
        ),
        outcome: "log10_loss fell to −1000.2, below its target of −1000, after 99 999 steps.".into(),
        outcome_kind: "reached".into(),
        table: vec![
            ("log10_loss".into(), "−1000.2".into()),
            ("margin (q_min/ρ²)".into(), format!("{}", 0.0558 * rate)),
            ("kkt_epsilon_fit".into(), "0.0333".into()),
            ("train / test accuracy".into(), "1 / 0.947".into()),
        ],
        citations: vec![
            "K. Lyu, J. Li. Gradient Descent Maximizes the Margin of Homogeneous Neural Networks. ICLR 2020, \
             arXiv 1906.05890."
                .into(),
            "Z. Ji, M. Telgarsky. Directional Convergence and Alignment in Deep Learning. NeurIPS 2020.".into(),
        ],
        credit: Some("two moons, generated".into()),
        regions: None,
        manifest: serde_json::json!({
            "latephase": "0.1.0", "hash": "8f1c2a90", "machine": { "cpu": "x86-64", "threads": 2 },
            "evaluations": { "value_and_gradient": 125_893, "value": 3_021 }
        }),
    }
}

/// Two wavy classes and a boundary that moves a little with the loss.
pub fn regions() -> Regions {
    let axis: Vec<f64> = (0..80).map(|i| -2.0 + 4.0 * i as f64 / 79.0).collect();
    let f =
        |x: f64, y: f64, k: f64| y - (1.6 * x).sin() * (0.5 + 0.1 * k) - 0.2 * (x.abs() - 0.5).max(0.0) / k;
    let level = |log10_loss: f64, k: f64| {
        let raw: Vec<f64> = axis.iter().flat_map(|&y| axis.iter().map(move |&x| f(x, y, k))).collect();
        let top = raw.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        RegionLevel { log10_loss, score: raw.iter().map(|v| v / top).collect() }
    };
    let point = |i: u32| {
        let x = -1.8 + 3.6 * (f64::from(i) * 0.618).fract();
        let side = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        [x, (1.6 * x).sin() * 0.7 + side * (0.35 + 0.5 * (f64::from(i) * 0.317).fract())]
    };
    Regions {
        points: (0..60).map(point).collect(),
        labels: (0..60).map(|i| i % 2).collect(),
        levels: vec![level(-1.0, 1.0), level(-10.0, 2.0), level(-100.0, 3.0), level(-1000.0, 4.0)],
        x: axis.clone(),
        y: axis,
    }
}

/// Two curves and a dashed reference.
pub fn figure() -> Figure {
    let x: Vec<f64> = (1..60).map(|i| 10f64.powf(f64::from(i) / 20.0)).collect();
    let trace = |name: &str, c: f64, dash| {
        let y = x.iter().map(|v| if dash { c } else { c * (1.0 - 1.0 / v.sqrt()) }).collect();
        Trace { name: name.into(), x: x.clone(), y, dash, ..Default::default() }
    };
    Figure {
        id: "honesty".into(),
        title: "Margin at two reaches of the bundle".into(),
        caption: "Halving κ and ε should leave the curve where it is.".into(),
        traces: vec![
            trace("κ = 0.01", 0.0562, false),
            trace("κ = 0.005", 0.0566, false),
            trace("exact optimum", 0.059, true),
        ],
        x_label: "log₁₀(1/L)".into(),
        y_label: "margin".into(),
        x_log: true,
        y_log: false,
    }
}
