//! `latephase degree`.

use latephase_core::Degree;
use latephase_core::model::calculus::Line;
use latephase_lab::degree;
use latephase_lab::source::Lookup;

use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{aligned, say};

/// Prints the degree calculus layer by layer: the order up to each layer, what is left over, and what f_H drops. Defects are
/// bounds for the inputs of the training set, whose largest norm is the radius, or for those within `radius`.
///
/// # Errors
/// What is wrong with the spec or the data.
pub fn degree(what: &str, overrides: &[String], radius: Option<f64>, as_json: bool) -> Result<Exit, Failure> {
    let (spec, _) = input::read(what, overrides)?;
    let found = degree::of(&spec, radius, &Lookup::from_env())?;
    say(&if as_json {
        format!("{:#}", found.json())
    } else {
        told(&found.lines, &found.whole, found.radius)
    })?;
    Ok(Exit::Done)
}

fn told(lines: &[Line], whole: &Degree, radius: f64) -> String {
    let number = |x: f64| if x.is_nan() { "-".to_owned() } else { format!("{x}") };
    let head = ["layer", "what", "output", "order", "degrees", "blocks", "defect p'(rho)"].map(String::from);
    let mut table = vec![head.to_vec()];
    table.extend(lines.iter().map(|line| {
        let blocks = line.blocks.iter().map(|(name, k)| format!("{name}: {}", number(*k)));
        let defect = match &line.degree {
            Degree::Exact { .. } => "0".to_owned(),
            Degree::Near { defect, .. } => defect.bound.to_string(),
            Degree::None { .. } => "no degree".to_owned(),
        };
        vec![
            line.name.clone(),
            line.about.clone(),
            line.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
            line.degree.order().map_or("-".to_owned(), number),
            format!("({}, {})", number(line.own_degree), number(line.input_degree)),
            blocks.collect::<Vec<_>>().join(", "),
            defect,
        ]
    }));
    let mut text = match lines.is_empty() {
        true => "The model is not made of layers.\n".to_owned(),
        false => aligned(&table) + "\n",
    };
    text += &format!("{whole}\n");
    if let (Degree::Near { .. }, Some(defect), Some(gap)) = (whole, whole.defect(), whole.gap()) {
        text += &format!("for inputs of norm up to {radius:.4}:\n");
        text +=
            &format!("  |<grad f, theta> - M f| <= p'(rho) = {defect}\n  |f - f_H| <= p_a(rho) = {gap}\n");
    }
    let dropped: Vec<&String> = lines.iter().flat_map(|line| &line.dropped).collect();
    if !dropped.is_empty() {
        text += "the homogenization f_H drops or replaces\n";
        dropped.iter().for_each(|what| text += &format!("  {what}\n"));
    }
    text + "order: degree of the network up to the layer; degrees: of the layer in (its parameters, its input); blocks: degree of \
            f_H in each block alone, - where it has none\n"
}
