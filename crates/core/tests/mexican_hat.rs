//! The Mexican hat against its definition, against the invariant curve that one exponent has, and along the flow.

mod common;

use common::{normals, parse};
use latephase_core::algorithm::{Algorithm, Flow, Tableau};
use latephase_core::model::{AnyModel, Model, Tape};
use latephase_core::norm::AnyNorm;
use latephase_core::numeric::{dot, norm, scaled_distance};
use latephase_core::{Iterate, RowSet, Rows};

fn hat(settings: &str) -> Box<dyn Model> {
    common::model(&format!("kind = 'mexican-hat'\n{settings}"), 1, 1)
}

/// h and ∇h.
fn height(model: &dyn Model, theta: &[f64]) -> (f64, Vec<f64>) {
    let (x, mut out, mut grad, mut tape) = ([1.0], [0.0], vec![0.0; 3], Tape::default());
    let rows = Rows::new(&x, 1);
    model.forward(theta, rows, &mut out, &mut tape).unwrap();
    model.pullback(theta, rows, &mut tape, &[1.0], Some(&mut grad), None).unwrap();
    (out[0], grad)
}

#[test]
fn the_height_is_the_papers() {
    for (degree, exponent) in [(1.0, 3), (2.5, 4)] {
        let model = hat(&format!("degree = {degree}\nexponent = {exponent}"));
        for seed in 0..50 {
            let theta = normals(seed, "hat", 3);
            let rho = norm(&theta);
            let r = theta[0].hypot(theta[1]) / rho;
            let psi = theta[1].atan2(theta[0]) - 1.0 / (1.0 - r * r);
            let a = 4.0 * r.powi(4) / (4.0 * r.powi(4) + (1.0 - r * r).powi(exponent));
            let f = (-1.0 / (1.0 - r * r)).exp() * (1.0 - a * psi.sin());
            let (h, _) = height(model.as_ref(), &theta);
            assert!((h / (rho.powf(degree) * (1.0 - f)) - 1.0).abs() < 1e-12, "{theta:?}: {h}");
        }
        // On the rim and at the top.
        assert_eq!(height(model.as_ref(), &[3.0, 4.0, 0.0]).0, 5f64.powf(degree));
        let (h, grad) = height(model.as_ref(), &[0.0, 0.0, 1.0]);
        assert_eq!(h, 1.0 - (-1f64).exp());
        assert_eq!(grad, [0.0, 0.0, degree * h]);
    }
}

#[test]
fn the_curve_psi_0_is_invariant_with_the_exponent_3_and_not_with_4() {
    // How fast ψ = φ − 1/s changes along the flow on the sphere, in units of dφ/dt.
    let leaves = |exponent: u32, start: f64| {
        let model = hat(&format!("exponent = {exponent}\nstart = {start}"));
        let theta = model.init(&mut latephase_core::rng::stream(1, "hat", 0));
        assert!((norm(&theta) - 1.0).abs() < 1e-15);
        let (_, mut velocity) = height(model.as_ref(), &theta);
        let radial = dot(&velocity, &theta);
        velocity.iter_mut().zip(&theta).for_each(|(v, t)| *v -= radial * t);
        let [u, v, z] = [theta[0], theta[1], theta[2]];
        let phi = (u * velocity[1] - v * velocity[0]) / (u * u + v * v);
        // d(1/s) for s = z², whose derivative is that along a tangent direction.
        let inverse = -2.0 * z * velocity[2] / z.powi(4);
        assert!(phi > 0.0);
        (phi - inverse) / phi
    };
    for start in [0.1, 0.3, 0.5, 0.7, 0.9] {
        assert!(leaves(3, start).abs() < 1e-12, "{start}: {}", leaves(3, start));
        // 1 − s^{e−3}.
        assert!((leaves(4, start) - start * start).abs() < 1e-9, "{start}: {}", leaves(4, start));
    }
}

#[test]
fn only_the_hat_is_not_definable() {
    for name in AnyModel::NAMES {
        let any = AnyModel::example(name).build();
        let fit = |shape: &[usize]| any.assemble(shape, 1);
        let Ok(model) = fit(&[3]).or_else(|_| fit(&[1, 4, 4])).or_else(|_| fit(&[1, 8, 8])) else { continue };
        assert_eq!(model.is_definable(), *name != "mexican-hat", "{name}");
    }
    let error = parse::<AnyModel>("kind = 'mexican-hat'").build().assemble(&[1], 3).unwrap_err();
    assert!(error.message.contains("exponential"), "{error}");
}

#[test]
fn along_the_flow_the_smoothed_margin_rises_and_the_direction_goes_on_turning() {
    let model = hat("degree = 0.04\nexponent = 4");
    let mut theta = model.init(&mut latephase_core::rng::stream(1, "hat", 0));
    let rows = common::data(&[1.0, -1.0], &[0, 1], 1, 2);
    let problem = common::problem(model, "kind = 'exponential'", rows);
    let mut at = Iterate::new(theta.clone());
    let mut flow = Flow::new(AnyNorm::default(), Tableau::DormandPrince, 1e-8);
    flow.begin(&problem, 0).unwrap();
    let (mut last, mut path) = (f64::NEG_INFINITY, 0.0);
    let mut passed = Vec::new();
    for ln_rho in [30.0, 60.0, 120.0] {
        while norm(at.theta()).ln() < ln_rho {
            flow.step(&problem, &mut at).unwrap();
            let ln_loss = at.eval(&problem, &RowSet::Full).unwrap().ln_loss_sum;
            let smooth = -ln_loss / norm(at.theta()).powf(0.04);
            assert!(smooth >= last * (1.0 - 1e-9), "{smooth} after {last}");
            last = smooth;
            path += scaled_distance(1.0 / norm(&theta), &theta, 1.0 / norm(at.theta()), at.theta());
            theta = at.theta().to_vec();
        }
        passed.push(path);
    }
    // The same length for every doubling of ln ρ, and a little more: it grows like ln ln ρ.
    let (first, second) = (passed[1] - passed[0], passed[2] - passed[1]);
    assert!(first > 0.15 && second > first, "{passed:?}");
}
