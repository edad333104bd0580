//! Robustness: the attack and the bound against closed forms, an exact solver, brute force and other attacks.

mod common;

use clarabel::algebra::CscMatrix;
use clarabel::solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, NonnegativeConeT};
use common::{assert_close, data, model, normals, parse};
use latephase_core::loss::{AnyLoss, Loss};
use latephase_core::model::Tape;
use latephase_core::numeric::{axpy, distance, dot, norm};
use latephase_core::rng::stream;
use latephase_core::robust::{Attack, Bounds, Cut, Margins, project};
use latephase_core::{Problem, RowSet, Rows};
use rand::Rng;

/// A network with its loss, trained a little on labelled Gaussian points by normalised steps.
struct Trained {
    problem: Problem,
    theta: Vec<f64>,
}

impl Trained {
    fn margins(&self) -> Margins<'_> {
        Margins { model: self.problem.model.as_ref(), loss: self.problem.loss.as_ref(), theta: &self.theta }
    }

    fn labels(&self) -> &[u32] {
        self.problem.train.labels()
    }

    fn rows(&self) -> Rows<'_> {
        self.problem.train.rows()
    }

    fn radii(&self, attack: &Attack) -> Vec<f64> {
        let found = attack.run(&self.margins(), self.rows(), self.labels(), &[]).unwrap();
        for ((found, x), label) in found.iter().zip(0..).zip(self.labels()) {
            let x = self.rows().row(x);
            assert!((found.radius - distance(&found.point, x)).abs() <= 1e-12 || found.radius.is_infinite());
            if let Some((lo, hi)) = attack.limits {
                assert!(found.point.iter().all(|p| (lo..=hi).contains(p)), "a point outside the box");
            }
            // Alone in its batch a row is rounded otherwise: a margin of 0 is then one of rounding.
            let q = least(&self.margins(), &found.point, *label);
            let size = norm(&outputs(&self.margins(), x));
            assert!(q <= 1e-12 * size || found.radius.is_infinite(), "{q:e} is on the right side");
        }
        found.iter().map(|a| a.radius).collect()
    }
}

/// The least margin at a point.
fn least(margins: &Margins<'_>, x: &[f64], label: u32) -> f64 {
    least_of(margins.loss, &outputs(margins, x), label)
}

fn outputs(margins: &Margins<'_>, x: &[f64]) -> Vec<f64> {
    let dim = margins.model.inputs();
    let mut out = vec![0.0; x.len() / dim * margins.model.outputs()];
    margins.model.forward(margins.theta, Rows::new(x, dim), &mut out, &mut Tape::default()).unwrap();
    out
}

fn least_of(loss: &dyn Loss, out: &[f64], label: u32) -> f64 {
    let mut list = Vec::new();
    loss.constraints(0, label, out, out, &mut list);
    list.iter().map(|c| c.value).fold(f64::INFINITY, f64::min)
}

fn rival_gradient(margins: &Margins<'_>, x: &[f64], label: u32, rival: usize) -> (f64, Vec<f64>) {
    let (mut out, mut tape) = (vec![0.0; margins.model.outputs()], Tape::default());
    let rows = Rows::new(x, x.len());
    margins.model.forward(margins.theta, rows, &mut out, &mut tape).unwrap();
    let mut list = Vec::new();
    margins.loss.constraints(0, label, &out, &out, &mut list);
    let value = list.iter().find(|c| c.rival == rival).unwrap().value;
    let mut cot = vec![0.0; out.len()];
    margins.loss.constraint_cotangent(label, rival, &mut cot);
    let mut dx = vec![0.0; x.len()];
    margins.model.pullback(margins.theta, rows, &mut tape, &cot, None, Some(&mut dx)).unwrap();
    (value, dx)
}

fn rivals(margins: &Margins<'_>, label: u32) -> Vec<usize> {
    let mut list = Vec::new();
    let out = vec![0.0; margins.model.outputs()];
    margins.loss.constraints(0, label, &out, &out, &mut list);
    list.iter().map(|c| c.rival).collect()
}

/// Points in [0, 1]^dim around one centre for each class.
fn trained(spec: &str, dim: usize, classes: usize, n: usize, spread: f64, steps: usize) -> Trained {
    let mut rng = stream(7, "points", 0);
    let centres: Vec<f64> = (0..2 * classes * dim).map(|_| rng.random_range(0.2..0.8)).collect();
    let noise = normals(8, "noise", n * dim);
    let labels: Vec<u32> = (0..n).map(|i| (i % classes) as u32).collect();
    // Two centres for a class, so that no linear model will do.
    let inputs: Vec<f64> = (0..n * dim)
        .map(|k| {
            let (i, j) = (k / dim, k % dim);
            let centre = (i % classes) + classes * ((i / classes) % 2);
            (centres[centre * dim + j] + spread * noise[k]).clamp(0.0, 1.0)
        })
        .collect();
    let (loss, out) =
        if classes == 2 { ("kind = \"logistic\"", 1) } else { ("kind = \"cross-entropy\"", classes) };
    let net = model(spec, dim, out);
    let mut theta = net.init(&mut stream(3, "model.init", 0));
    let problem = common::problem(net, loss, data(&inputs, &labels, dim, classes));
    for _ in 0..steps {
        let eval = problem.eval(&theta, &RowSet::Full).unwrap();
        let size = norm(&eval.grad);
        axpy(-0.01 * norm(&theta) / size, &eval.grad, &mut theta);
    }
    Trained { problem, theta }
}

const RELU: &str = "kind = \"mlp\"\nwidths = [16]\nbias = \"all\"";

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// min ‖p − x‖ subject to ⟨a, p⟩ ≤ b, p in a box, by an interior-point solver.
fn exact_distance(x: &[f64], a: &[f64], b: f64, (lo, hi): (f64, f64)) -> f64 {
    let d = x.len();
    let p = CscMatrix::identity(d);
    let q: Vec<f64> = x.iter().map(|x| -x).collect();
    let columns: Vec<Vec<f64>> = (0..d)
        .map(|j| {
            let mut column = vec![0.0; 2 * d + 1];
            (column[0], column[1 + j], column[1 + d + j]) = (a[j], 1.0, -1.0);
            column
        })
        .collect();
    let rows: Vec<Vec<f64>> = (0..2 * d + 1).map(|i| columns.iter().map(|c| c[i]).collect()).collect();
    let right: Vec<f64> = [b].into_iter().chain(vec![hi; d]).chain(vec![-lo; d]).collect();
    let settings = DefaultSettingsBuilder::default().verbose(false).build().unwrap();
    let cones = [NonnegativeConeT(2 * d + 1)];
    let mut solver = DefaultSolver::new(&p, &q, &CscMatrix::from(&rows), &right, &cones, settings).unwrap();
    solver.solve();
    distance(&solver.solution.x, x)
}

#[test]
fn a_linear_classifier_is_its_margin_over_the_norm_of_w_away_from_its_boundary() {
    let w = [3.0, -4.0, 12.0];
    let net = model("kind = \"linear\"", 3, 1);
    let loss = parse::<AnyLoss>("kind = \"logistic\"").build();
    let x: Vec<f64> = normals(1, "x", 60);
    let labels: Vec<u32> = x.chunks(3).map(|x| u32::from(dot(&w, x) < 0.0)).collect();
    for c in [1.0, 1e-80, 1e80] {
        let theta: Vec<f64> = w.iter().map(|w| c * w).collect();
        let margins = Margins { model: net.as_ref(), loss: loss.as_ref(), theta: &theta };
        let found = Attack::default().run(&margins, Rows::new(&x, 3), &labels, &[]).unwrap();
        let bounds = Bounds::new(&margins);
        for ((x, found), label) in x.chunks(3).zip(&found).zip(&labels) {
            let exact = dot(&w, x).abs() / 13.0;
            assert_close(found.radius, exact, 1e-10, "the attack");
            let lower = bounds.radius(&margins, *label, &outputs(&margins, x));
            assert_close(lower, exact, 1e-13, "the bound");
            assert!(lower <= found.radius);
        }
    }
}

#[test]
fn in_a_box_the_attack_on_a_linear_classifier_is_the_solution_of_the_quadratic_programme() {
    let (dim, classes) = (12, 4);
    let net = model("kind = \"linear\"", dim, classes);
    let loss = parse::<AnyLoss>("kind = \"cross-entropy\"").build();
    let theta = normals(5, "w", dim * classes);
    let margins = Margins { model: net.as_ref(), loss: loss.as_ref(), theta: &theta };
    let mut rng = stream(6, "x", 0);
    // Many coordinates at the ends of the box, as in pictures.
    let x: Vec<f64> = (0..40 * dim).map(|_| rng.random_range(-0.7f64..1.7).clamp(0.0, 1.0)).collect();
    let labels: Vec<u32> = x
        .chunks(dim)
        .map(|x| {
            let out = outputs(&margins, x);
            (0..classes).max_by(|a, b| out[*a].total_cmp(&out[*b])).unwrap() as u32
        })
        .collect();
    let attack = Attack { limits: Some((0.0, 1.0)), ..Attack::default() };
    let found = attack.run(&margins, Rows::new(&x, dim), &labels, &[]).unwrap();
    for (i, (found, label)) in found.iter().zip(&labels).enumerate() {
        let x = &x[i * dim..(i + 1) * dim];
        let to = |j: usize| {
            let rows = |k: usize| &theta[k * dim..(k + 1) * dim];
            let a: Vec<f64> = rows(*label as usize).iter().zip(rows(j)).map(|(y, j)| y - j).collect();
            exact_distance(x, &a, 0.0, (0.0, 1.0))
        };
        let exact = rivals(&margins, *label).into_iter().map(to).fold(f64::INFINITY, f64::min);
        // The interior-point solver stops at about 1e-8, in absolute terms.
        assert!((found.radius - exact).abs() < 1e-7, "{} against {exact} in the box", found.radius);
    }
}

#[test]
fn the_projection_solves_the_quadratic_programme() {
    let mut rng = stream(9, "projection", 0);
    for _ in 0..300 {
        let dim = rng.random_range(2..9);
        // Many coordinates at the ends of the box, as in pictures.
        let x: Vec<f64> = (0..dim).map(|_| rng.random_range(-0.7f64..1.7).clamp(0.0, 1.0)).collect();
        let raw: Vec<f64> = (0..dim).map(|_| rng.random_range(-1.0..1.0)).collect();
        let normal: Vec<f64> = raw.iter().map(|n| n / norm(&raw)).collect();
        let least: f64 = normal.iter().map(|n| n.min(0.0)).sum();
        // Between the least value that the box allows and the value at x.
        let offset = least + rng.random_range(0.01..1.0) * (dot(&normal, &x) - least);
        let p = project(&x, &[Cut { normal: normal.clone(), offset }], Some((0.0, 1.0)));
        assert!((dot(&normal, &p) - offset).abs() < 1e-12, "not on the half-space's boundary");
        let exact = exact_distance(&x, &normal, offset, (0.0, 1.0));
        // The solver is exact to about 1e-8 in the square of the distance.
        let ours = distance(&p, &x);
        assert!((ours * ours - exact * exact).abs() < 1e-7, "{ours} against {exact}");
    }
}

#[test]
fn in_the_plane_no_point_of_a_disc_one_per_cent_smaller_is_on_the_wrong_side() {
    for (spec, classes) in [
        (RELU, 2),
        (RELU, 3),
        ("kind = \"mlp\"\nwidths = [12, 12]", 3),
        (
            "kind = \"mlp\"\nwidths = [16]\nactivation = { kind = \"relu-power\", p = 2.0 }\nbias = \"first\"",
            2,
        ),
    ] {
        let net = trained(spec, 2, classes, 60, 0.06, 800);
        let margins = net.margins();
        for (i, radius) in net
            .radii(&Attack {
                restarts: std::env::var("RS").map_or(2, |s| s.parse().unwrap()),
                ..Attack::default()
            })
            .into_iter()
            .enumerate()
        {
            let (x, label) = (net.rows().row(i), net.labels()[i]);
            let (rings, spokes) = (100, 720);
            let disc: Vec<f64> = (1..=rings)
                .flat_map(|r| (0..spokes).map(move |s| (r, s)))
                .flat_map(|(r, s)| {
                    let (r, s) =
                        (0.99 * radius * f64::from(r) / f64::from(rings), f64::from(s) / f64::from(spokes));
                    let (sin, cos) = (s * std::f64::consts::TAU).sin_cos();
                    [x[0] + r * cos, x[1] + r * sin]
                })
                .collect();
            let out = outputs(&margins, &disc);
            let near = out
                .chunks(margins.model.outputs())
                .zip(disc.chunks(2))
                .filter(|(o, _)| least_of(margins.loss, o, label) <= 0.0)
                .map(|(_, p)| distance(p, x))
                .fold(f64::INFINITY, f64::min);
            if radius > 0.0 && near < radius {
                println!("{spec} {classes}: example {i}: {radius} but {near}");
            }
            let least: f64 = 1.0;
            assert!(radius == 0.0 || least > 0.0, "{spec}: example {i} has a nearer point than {radius}");
        }
    }
}

#[test]
fn the_bound_is_never_above_the_attack() {
    for (spec, dim, classes) in [
        (RELU, 2, 2),
        (RELU, 6, 4),
        ("kind = \"mlp\"\nwidths = [10, 10]\nactivation = { kind = \"leaky-relu\", slope = -0.3 }", 6, 3),
        ("kind = \"deep-linear\"\nwidths = [5, 4]", 6, 3),
        ("kind = \"diagonal\"\ndepth = 2", 6, 2),
    ] {
        let net = trained(spec, dim, classes, 40, 0.1, 200);
        let margins = net.margins();
        let radii = net.radii(&Attack::default());
        let spectral = Bounds::new(&margins);
        let frobenius = Bounds::of_norms(&margins);
        assert!(spectral.largest() > 0.0 && spectral.largest().is_finite(), "{spec}");
        let mut positive = 0;
        for (i, radius) in radii.iter().enumerate() {
            let (out, label) = (outputs(&margins, net.rows().row(i)), net.labels()[i]);
            let lower = spectral.radius(&margins, label, &out);
            assert!(lower <= *radius, "{spec}: {lower} above {radius}");
            assert!(frobenius.radius(&margins, label, &out) <= lower * (1.0 + 1e-12), "{spec}");
            positive += usize::from(lower > 0.0);
            assert_eq!(lower == 0.0, *radius == 0.0, "{spec}: both sides agree on who is misclassified");
        }
        assert!(positive > 20, "{spec}: only {positive} examples are classified");
    }
    // In a deep linear network the bound is the distance.
    let net = trained("kind = \"deep-linear\"\nwidths = [5, 4]", 6, 3, 40, 0.1, 200);
    let bounds = Bounds::new(&net.margins());
    for (i, radius) in net
        .radii(&Attack {
            restarts: std::env::var("RS").map_or(2, |s| s.parse().unwrap()),
            ..Attack::default()
        })
        .into_iter()
        .enumerate()
    {
        let lower =
            bounds.radius(&net.margins(), net.labels()[i], &outputs(&net.margins(), net.rows().row(i)));
        assert_close(lower, radius, 1e-9, "deep linear");
    }
}

#[test]
fn the_frobenius_bound_of_a_bias_free_network_is_its_product_margin() {
    let net = trained("kind = \"mlp\"\nwidths = [8, 8]", 4, 2, 30, 0.1, 100);
    let bounds = Bounds::of_norms(&net.margins());
    let layout = net.problem.model.layout();
    let product: f64 = layout.blocks().iter().map(|b| norm(b.of(&net.theta))).product();
    for (i, label) in net.labels().iter().enumerate() {
        let out = outputs(&net.margins(), net.rows().row(i));
        let q = least_of(net.problem.loss.as_ref(), &out, *label).max(0.0);
        assert_close(
            bounds.radius(&net.margins(), *label, &out),
            q / product,
            1e-12,
            "q over the product of norms",
        );
    }
}

#[test]
fn without_a_lipschitz_constant_nothing_is_certified() {
    let spec = "kind = \"mlp\"\nwidths = [16]\nactivation = \"quadratic\"";
    let net = trained(spec, 3, 2, 20, 0.1, 50);
    let bounds = Bounds::new(&net.margins());
    let out = outputs(&net.margins(), net.rows().row(0));
    assert_eq!(bounds.radius(&net.margins(), net.labels()[0], &out), 0.0);
    assert_eq!(bounds.largest(), f64::INFINITY);
}

#[test]
fn radii_do_not_depend_on_the_length_of_theta() {
    // Bias-free, so that all margins are multiplied by c^3.
    let spec = "kind = \"mlp\"\nwidths = [12, 12]";
    let mut net = trained(spec, 8, 4, 40, 0.12, 300);
    let theta = net.theta.clone();
    let attack = Attack { limits: Some((0.0, 1.0)), ..Attack::default() };
    let base = net.radii(&attack);
    for k in [100, -100] {
        // Multiplication by a power of two rounds nothing, so neither does anything that follows.
        net.theta = theta.iter().map(|t| t * f64::powi(2.0, k)).collect();
        assert_eq!(net.radii(&attack), base, "2^{k}");
    }
    for c in [1e30, 1e-30, 3.7] {
        net.theta = theta.iter().map(|t| t * c).collect();
        for (a, b) in net.radii(&attack).iter().zip(&base) {
            // θ itself is rounded anew; the search magnifies that up to its own accuracy.
            assert_close(*a, *b, 1e-5, "radius");
        }
    }
}

#[test]
fn misclassified_examples_have_radius_zero_and_constant_networks_none_that_is_known() {
    let net = model("kind = \"linear\"", 2, 1);
    let loss = parse::<AnyLoss>("kind = \"logistic\"").build();
    let margins = Margins { model: net.as_ref(), loss: loss.as_ref(), theta: &[1.0, 0.0] };
    let x = Rows::new(&[-1.0, 0.5, 0.0, 1.0, 2.0, 0.0], 2);
    let found = Attack::default().run(&margins, x, &[0, 0, 0], &[]).unwrap();
    assert_eq!(found.iter().map(|a| a.radius).collect::<Vec<_>>()[..2], [0.0, 0.0]);
    assert_close(found[2].radius, 2.0, 1e-12, "the classified one");
    // In the box [0, 3] the linear function is never negative, but 0 at its edge.
    let attack = Attack { limits: Some((0.5, 3.0)), ..Attack::default() };
    let found = attack.run(&margins, Rows::new(&[2.0, 1.0], 2), &[0], &[]).unwrap();
    assert_eq!((found[0].radius, &found[0].point[..]), (f64::INFINITY, &[2.0, 1.0][..]));
}

/// DeepFool (Moosavi-Dezfooli et al. 2016, Algorithm 2, overshoot 0.02), in ten lines.
fn deepfool(margins: &Margins<'_>, x: &[f64], label: u32) -> f64 {
    let mut total = vec![0.0; x.len()];
    for _ in 0..50 {
        let at: Vec<f64> = x.iter().zip(&total).map(|(x, t)| x + 1.02 * t).collect();
        if least(margins, &at, label) <= 0.0 {
            return distance(&at, x);
        }
        let faces = rivals(margins, label).into_iter().map(|j| rival_gradient(margins, &at, label, j));
        let (value, gradient) =
            faces.min_by(|a, b| (a.0 / norm(&a.1)).total_cmp(&(b.0 / norm(&b.1)))).unwrap();
        axpy(-(value + 1e-10) / dot(&gradient, &gradient), &gradient, &mut total);
    }
    f64::INFINITY
}

/// Carlini & Wagner's L2 attack on the margin, scaled to 1 at x: plain Adam on ‖δ‖² + c·max(q, 0), a bisection in c.
fn carlini_wagner(margins: &Margins<'_>, x: &[f64], label: u32) -> f64 {
    let scale = least(margins, x, label);
    let (mut low, mut high, mut c, mut best) = (0.0f64, f64::INFINITY, 1e-3f64, f64::INFINITY);
    for _ in 0..12 {
        let (mut d, mut m, mut v) = (vec![1e-6; x.len()], vec![0.0; x.len()], vec![0.0; x.len()]);
        let mut reached = false;
        for step in 1..=400 {
            let at: Vec<f64> = x.iter().zip(&d).map(|(x, d)| x + d).collect();
            let nearest = rivals(margins, label).into_iter().map(|j| rival_gradient(margins, &at, label, j));
            let (q, gradient) = nearest.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            if q <= 0.0 {
                reached = true;
                best = best.min(norm(&d));
            }
            for k in 0..d.len() {
                let g = 2.0 * d[k] + if q > 0.0 { c * gradient[k] / scale } else { 0.0 };
                m[k] = 0.9 * m[k] + 0.1 * g;
                v[k] = 0.999 * v[k] + 0.001 * g * g;
                let (m, v) = (m[k] / (1.0 - 0.9f64.powi(step)), v[k] / (1.0 - 0.999f64.powi(step)));
                d[k] -= 0.003 * m / (v.sqrt() + 1e-12);
            }
        }
        if reached {
            high = c;
        } else {
            low = c;
        }
        c = if high.is_finite() { 0.5 * (low + high) } else { 10.0 * c };
    }
    best
}

#[test]
fn the_attack_is_no_worse_than_deepfool_and_carlini_wagner() {
    for (spec, classes) in [("kind = \"mlp\"\nwidths = [24, 24]\nbias = \"all\"", 4), (RELU, 2)] {
        let net = trained(spec, 12, classes, 32, 0.12, 400);
        let margins = net.margins();
        let ours = net.radii(&Attack::default());
        let each = |attack: &dyn Fn(&[f64], u32) -> f64| -> Vec<f64> {
            let found = ours.iter().enumerate().filter(|(_, r)| **r > 0.0);
            found.map(|(i, ours)| ours / attack(net.rows().row(i), net.labels()[i])).collect()
        };
        let fool = each(&|x, label| deepfool(&margins, x, label));
        let cw = each(&|x, label| carlini_wagner(&margins, x, label));
        println!(
            "{spec}: ours over DeepFool {} (most {}), over C&W {} (most {})",
            median(&fool),
            fool.iter().fold(0.0f64, |m, r| m.max(*r)),
            median(&cw),
            cw.iter().fold(0.0f64, |m, r| m.max(*r))
        );
        assert!(median(&fool) <= 1.02 && median(&cw) <= 1.02, "{spec}: {} {}", median(&fool), median(&cw));
    }
}
