//! scratch
use latephase_core::{algorithm::*, loss::*, model::*, *};
use std::sync::Arc;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let text = std::fs::read_to_string("/tmp/digits.csv").unwrap();
    let (mut x, mut y) = (vec![], vec![]);
    for line in text.lines().take(300) {
        let v: Vec<f64> = line.split(',').map(|s| s.parse().unwrap()).collect();
        x.extend(v[..64].iter().map(|p| p / 16.0));
        y.push((v[64] as u32) % 2);
    }
    let data = Arc::new(Data::new(x, y, vec!["even".into(), "odd".into()], vec![64]).unwrap());
    let p: f64 = a[5].parse().unwrap();
    let mlp =
        Mlp { widths: vec![256], activation: layer::Nonlinearity::ReluPower { p }, ..Default::default() };
    let mlp = if p == 1.0 { Mlp { activation: layer::Nonlinearity::Relu, ..mlp } } else { mlp };
    let model = mlp.assemble(&[64], 1).unwrap();
    let theta = model.init(&mut rng::stream(1, "model.init", 0));
    let problem = Problem::new(model, Box::new(Logistic::default()), data, None);
    let mut at = Iterate::new(theta);
    let (k, e): (f64, f64) = (a[1].parse().unwrap(), a[2].parse().unwrap());
    let mut alg: Box<dyn Algorithm> = if k > 0.0 {
        let mut b = Bundle::new(k, e, a[3].parse().unwrap());
        b.repel = a[4].parse().unwrap();
        Box::new(b)
    } else {
        Box::new(Stepped::new(Default::default(), pace::UnitDecrease::new(e, 3.0).into(), Batches::Full))
    };
    alg.begin(&problem, 1).unwrap();
    let start = std::time::Instant::now();
    let far: f64 = a[6].parse().unwrap();
    let deg = problem.model.degree().order().unwrap();
    for target in [1.0, 10., 100., 230.2585, 2302.585, 1e4, 1e5, 1e6] {
        if target > far {
            break;
        }
        loop {
            let eval = at.eval(&problem, &RowSet::Full).unwrap();
            if -eval.ln_loss >= target {
                let q = problem.constraints(&eval).iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
                let rho = numeric::norm(at.theta());
                println!(
                    "F {target:8} evals {} margin {:.6} time {:.3} rho {rho:.2} {:?}",
                    at.clocks.evaluations,
                    q / rho.powf(deg),
                    start.elapsed().as_secs_f64(),
                    alg.counts()
                );
                break;
            }
            if let Err(b) = alg.step(&problem, &mut at) {
                println!("{b}");
                return;
            }
        }
    }
}
