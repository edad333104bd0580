//! Margins on tangent features of two-layer ReLU networks, against integrals, each other and the transport of parity.

mod common;

use common::{assert_close, data, measure, model, normals, parse, problem};
use latephase_core::exact::Failure;
use latephase_core::exact::tangent::{Neurons, frobenius, infinite, per_node};
use latephase_core::model::Model;
use latephase_core::probe::{AnyProbe, Context};
use latephase_core::{Iterate, Rows, ntk};

fn neurons(m: usize, dim: usize, seed: u64) -> Neurons {
    Neurons { a: normals(seed, "a", m), v: normals(seed, "v", m * dim), dim }
}

fn cube(dim: usize) -> (Vec<f64>, Vec<f64>) {
    let side = 1.0 / (dim as f64).sqrt();
    let point = |bits: usize| (0..dim).map(move |j| if bits >> j & 1 == 0 { side } else { -side });
    let x: Vec<f64> = (0..1 << dim).flat_map(point).collect();
    let y = x.chunks(dim).map(|x| (x[0] * x[1]).signum()).collect();
    (x, y)
}

#[test]
fn the_kernel_of_infinitely_many_neurons_is_its_integral() {
    let (x, (outer, inner)) = ([1.0, 0.5, -0.7, 2.0, 1.0, 0.5000001, -2.0, -1.0], (1.3, 0.4));
    let kernel = infinite(Rows::new(&x, 2), outer, inner);
    for i in 0..4 {
        for k in 0..4 {
            let (p, q) = (&x[2 * i..2 * i + 2], &x[2 * k..2 * k + 2]);
            // v = r(cos t, sin t) with E r² = 2·inner: an integral over the angle alone, by midpoints.
            let steps = 200_000;
            let mut sum = 0.0;
            for s in 0..steps {
                let t = std::f64::consts::TAU * (s as f64 + 0.5) / steps as f64;
                let (z, w) = (t.cos() * p[0] + t.sin() * p[1], t.cos() * q[0] + t.sin() * q[1]);
                if z > 0.0 && w > 0.0 {
                    sum += 2.0 * inner * z * w + outer * (p[0] * q[0] + p[1] * q[1]);
                }
            }
            // The integrand jumps where a neuron is switched: an error of the order of a step.
            let (found, truth) = (kernel[i * 4 + k], sum / steps as f64);
            assert!((found - truth).abs() < 5e-5, "({i}, {k}): {found} against {truth}");
        }
    }
}

#[test]
fn the_kernel_of_neurons_is_the_tangent_kernel_of_the_network() {
    let (m, dim, n) = (7, 3, 5);
    let net: Box<dyn Model> = model("kind = 'mlp'\nwidths = [7]", dim, 1);
    let nodes = neurons(m, dim, 1);
    let theta: Vec<f64> = nodes.v.iter().chain(&nodes.a).copied().collect();
    assert_eq!(Neurons::of(&theta, dim).unwrap(), nodes);
    assert!(Neurons::of(&theta[1..], dim).is_err());
    let x = normals(2, "x", n * dim);
    let kernel = ntk::outputs(net.as_ref(), &theta, Rows::new(&x, dim)).unwrap();
    for (own, all) in nodes.kernel(Rows::new(&x, dim)).iter().zip(&kernel) {
        assert_close(m as f64 * own, *all, 1e-12, "an entry");
    }
}

#[test]
fn both_margins_are_certified_and_ordered() {
    for (seed, m, dim, n) in [(1, 30, 4, 12), (2, 8, 3, 6), (3, 60, 6, 20)] {
        let (nodes, x) = (neurons(m, dim, seed).unit(), normals(seed, "x", n * dim));
        let y: Vec<f64> = (0..n).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
        let rows = Rows::new(&x, dim);
        let whole = frobenius(&nodes.kernel(rows), &y).unwrap();
        let node = per_node(rows, &y, &nodes).unwrap();
        assert!(whole.gap() < 1e-9 && whole.gap() > -1e-12, "gap {:e}", whole.gap());
        assert!(node.gap() < 1e-6 && node.gap() > -1e-12, "gap {:e}", node.gap());
        assert!(node.value <= whole.bound * (1.0 + 1e-12));
        assert!(node.value > 0.0 && node.solution.len() == m * (dim + 1));
        // Normalised neurons: scaling a layer changes nothing.
        let scaled = Neurons { a: nodes.a.iter().map(|a| 3.0 * a).collect(), ..nodes.clone() }.unit();
        assert_close(frobenius(&scaled.kernel(rows), &y).unwrap().value, whole.value, 1e-9, "another scale");
    }
}

#[test]
fn parity_is_separated_by_at_least_its_transport() {
    let (dim, m) = (4, 40);
    let (x, y) = cube(dim);
    let rows = Rows::new(&x, dim);
    let nodes = neurons(m, dim, 5);
    // θ_j = sgn(a_j) sgn(v_j1) e_2: the margin of each example, worked out neuron by neuron.
    let margin = |i: usize| {
        let x = rows.row(i);
        let of = |j: usize| {
            let v = &nodes.v[j * dim..(j + 1) * dim];
            let z: f64 = v.iter().zip(x).map(|(v, x)| v * x).sum();
            if z > 0.0 { nodes.a[j].abs() * v[0].signum() * x[1] } else { 0.0 }
        };
        y[i] * (0..m).map(of).sum::<f64>() / m as f64
    };
    let transport = (0..y.len()).map(margin).fold(f64::INFINITY, f64::min);
    let node = per_node(rows, &y, &nodes).unwrap();
    assert!(node.bound >= transport && node.gap() < 1e-6, "gap {:e}", node.gap());
    // In the limit the transport has margin E|a|·arcsin(1/√d)/(π√d), and the Frobenius form is no less.
    let limit = frobenius(&infinite(rows, 1.0, 1.0 / dim as f64), &y).unwrap();
    let root = (dim as f64).sqrt();
    let mean = (2.0 / std::f64::consts::PI).sqrt();
    let known = mean * (1.0 / root).asin() / (std::f64::consts::PI * root);
    assert!(limit.value >= known, "{} below {known}", limit.value);
    // Uniform multipliers are optimal by symmetry.
    let kernel = infinite(rows, 1.0, 1.0 / dim as f64);
    let n = y.len();
    let square: f64 = (0..n * n).map(|k| y[k / n] * y[k % n] * kernel[k]).sum::<f64>() / (n * n) as f64;
    assert_close(limit.bound, square.sqrt(), 1e-9, "the shortest vector of the hull");
}

#[test]
fn opposite_labels_on_one_input_are_refused() {
    let x = [1.0, 2.0, 1.0, 2.0, -1.0, 0.0];
    let (rows, y) = (Rows::new(&x, 2), [1.0, -1.0, 1.0]);
    let nodes = neurons(12, 2, 1);
    let separable = |found: &Result<_, Failure>| !matches!(found, Err(Failure::NotSeparable { .. }));
    assert!(!separable(&frobenius(&nodes.kernel(rows), &y)));
    assert!(!separable(&per_node(rows, &y, &nodes)));
}

#[test]
fn the_probe_measures_them_at_the_start_and_of_two_layer_networks_only() {
    let dim = 3;
    let x = normals(7, "x", 6 * dim);
    let look = |text: &str| {
        let net = model(text, dim, 1);
        let theta = normals(8, "theta", net.layout().dim());
        let problem = problem(net, "kind = 'logistic'", data(&x, &[0, 1, 0, 1, 0, 1], dim, 2));
        let mut probe = parse::<AnyProbe>("kind = 'ntk'").build();
        let context = Context { problem: &problem, theta: &theta, norms: Vec::new(), weight_decay: 0.0 };
        probe.begin(&context).unwrap();
        let later: Vec<f64> = theta.iter().map(|t| 2.0 * t + 0.1).collect();
        (theta, measure(probe.as_mut(), &problem, &mut Iterate::new(later)))
    };
    let (theta, row) = look("kind = 'mlp'\nwidths = [9]");
    let nodes = Neurons::of(&theta, dim).unwrap().unit();
    let y = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0];
    let fro = frobenius(&nodes.kernel(Rows::new(&x, dim)), &y).unwrap();
    assert_close(row.get("margin_ntk_fro"), fro.value, 1e-10, "of theta_0");
    assert!(row.get("margin_ntk_node") > 0.0 && row.get("margin_ntk_node") <= fro.bound);
    for other in ["kind = 'mlp'\nwidths = [9]\nactivation = 'leaky-relu'", "kind = 'mlp'\nwidths = [4, 3]"] {
        assert!(look(other).1.get("margin_ntk_fro").is_nan(), "{other}");
    }
}
