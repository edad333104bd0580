//! What recipes and sweeps add to a page: tables and bands.

mod report_fixture;

use latephase_lab::report::{Added, Figure, ReportCell, ReportTable, Trace, render};
use report_fixture::run;
use serde_json::Value;

fn data(page: &str) -> Value {
    let (_, rest) =
        page.split_once("<script type=\"application/json\" id=\"data\">").expect("a block of data");
    serde_json::from_str(rest.split_once("</script").expect("its end").0).expect("valid JSON")
}

#[test]
fn the_best_of_a_column_is_strong_and_no_text_becomes_markup() {
    let cell = |text: &str, is_best| ReportCell { text: text.into(), is_best };
    let table = ReportTable {
        title: "a < b".into(),
        note: "<i>".into(),
        columns: vec!["margin & more".into()],
        rows: vec![("SD".into(), vec![cell("1 < 2", true)]), ("<GD>".into(), vec![cell("3", false)])],
    };
    let added = Added { note: "x > y".into(), tables: vec![table], ..Added::default() };
    let page = render("t", &[run("a", 30, 1.0)], &added);
    for part in [
        "<p class=\"note\">x &gt; y</p>",
        "<h2>a &lt; b</h2>",
        "<th scope=\"col\">margin &amp; more</th>",
        "<tr><th scope=\"row\">SD</th><td class=\"best\"><strong>1 &lt; 2</strong></td></tr>",
        "<tr><th scope=\"row\">&lt;GD&gt;</th><td>3</td></tr>",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_band_travels_with_its_curve_and_a_curve_without_one_says_nothing_of_it() {
    let banded = Trace {
        name: "a".into(),
        x: vec![1.0, 2.0],
        y: vec![1.5, f64::NAN],
        low: vec![1.0, f64::NAN],
        high: vec![2.0, f64::NAN],
        dash: false,
    };
    let plain = Trace { low: vec![], high: vec![], ..banded.clone() };
    let figure = Figure { id: "f".into(), traces: vec![banded, plain], ..Figure::default() };
    let read = data(&render("t", &[], &Added { figures: vec![figure], ..Added::default() }));
    let traces = &read["figures"][0]["traces"];
    assert_eq!(traces[0]["low"], serde_json::json!([1, null]));
    assert_eq!(traces[0]["high"], serde_json::json!([2, null]));
    assert!(traces[1].get("low").is_none() && traces[1].get("high").is_none());
}
