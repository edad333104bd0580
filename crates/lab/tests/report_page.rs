//! Laws of the report: its bytes, its data, what a text can and cannot do in it.

mod report_fixture;

use latephase_lab::report::{Added, Figure, ReferenceLine, ReportClaim, ReportRun, Trace, render};
use report_fixture::{figure, regions, run};
use serde_json::Value;

fn drawn(figure: Figure) -> Added {
    Added { figures: vec![figure], ..Added::default() }
}

/// The block of data, as a browser finds it: up to the first end tag.
fn data(page: &str) -> Value {
    let (_, rest) =
        page.split_once("<script type=\"application/json\" id=\"data\">").expect("a block of data");
    let (text, _) = rest.split_once("</script").expect("its end");
    serde_json::from_str(text).expect("valid JSON")
}

/// All of the page that is ours: without the script of plotly.
fn ours(page: &str) -> String {
    let start = page.find("<script>/**\n* plotly.js").expect("plotly's script");
    let end = start + page[start..].find("</script>").expect("its end");
    format!("{}{}", &page[..start], &page[end..])
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let make = || render("two", &[run("a", 50, 1.0), run("b", 40, 0.8)], &drawn(figure()));
    assert_eq!(make(), make());
}

#[test]
fn what_is_not_finite_is_null_or_a_string_and_the_rest_keeps_its_bits() {
    let values = vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1 + 0.2, -2302.585092994046, 3.0];
    let run = ReportRun { columns: vec![("q".into(), values.clone())], ..Default::default() };
    let read = &data(&render("t", &[run], &Added::default()))["runs"][0]["columns"][0][1];
    assert_eq!(read[0], Value::Null);
    assert_eq!((&read[1], &read[2]), (&Value::from("inf"), &Value::from("-inf")));
    for i in 3..6 {
        assert_eq!(read[i].as_f64().map(f64::to_bits), Some(values[i].to_bits()));
    }
}

#[test]
fn every_column_of_every_run_is_in_the_page() {
    let runs = [run("a", 30, 1.0), run("b", 20, 0.8)];
    let read = data(&render("t", &runs, &Added::default()));
    for (i, run) in runs.iter().enumerate() {
        let columns = read["runs"][i]["columns"].as_array().expect("columns");
        let names: Vec<_> = columns.iter().map(|c| c[0].as_str().unwrap_or_default()).collect();
        let expected: Vec<_> = run.columns.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected);
    }
}

#[test]
fn no_text_becomes_markup_or_ends_the_data() {
    let evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{data}}";
    let run = ReportRun {
        claims: vec![ReportClaim {
            id: evil.into(),
            says: evil.into(),
            text: evil.into(),
            verdict: "holds".into(),
            formula: evil.into(),
            source: evil.into(),
        }],
        rates: Vec::new(),
        references: vec![ReferenceLine {
            column: evil.into(),
            name: evil.into(),
            scope: evil.into(),
            unit: evil.into(),
            ..Default::default()
        }],
        name: evil.into(),
        columns: vec![(evil.into(), vec![1.0])],
        spec_toml: evil.into(),
        outcome: evil.into(),
        outcome_kind: evil.into(),
        table: vec![(evil.into(), evil.into())],
        citations: vec![evil.into()],
        credit: Some(evil.into()),
        regions: None,
        manifest: serde_json::json!({ evil: evil }),
    };
    let trace = Trace { name: evil.into(), x: vec![1.0], y: vec![1.0], dash: false, ..Default::default() };
    let figure = Figure {
        id: evil.into(),
        title: evil.into(),
        caption: evil.into(),
        traces: vec![trace],
        ..Default::default()
    };
    let page = render(evil, &[run.clone(), run], &drawn(figure));
    let harmless = render("t", &[ReportRun::default(), ReportRun::default()], &drawn(Figure::default()));
    assert_eq!(page.matches("<script").count(), harmless.matches("<script").count());
    assert!(!ours(&page).contains("<img"));
    assert_eq!(data(&page)["runs"][1]["name"], evil);
    assert_eq!(data(&page)["figures"][0]["traces"][0]["name"], evil);
}

#[test]
fn nothing_is_fetched() {
    let page = ours(&render("t", &[run("a", 30, 1.0)], &drawn(figure())));
    for needle in ["<link", "src=", "@import", "url(http", "fetch(", "XMLHttpRequest", "import(", "https://"]
    {
        assert!(!page.contains(needle), "{needle}");
    }
    // The namespace of SVG is a name that looks like an address.
    assert!(!page.replace("http://www.w3.org/2000/svg", "").contains("http://"));
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn the_embedded_library_is_plotly_once_and_named_with_its_licence() {
    let page = render("t", &[], &Added::default());
    assert_eq!(page.matches("* Copyright 2012-").count(), 1);
    assert!(page.len() < 4_800_000, "plotly alone is 4.65 MB; MathJax is not needed");
    assert!(ours(&page).contains("Charts by plotly.js 3."));
    assert!(ours(&page).contains("Permission is hereby granted"));
}

#[test]
fn pages_of_every_shape_render_and_stay_small_beside_the_library() {
    let mut first = run("unit-decrease, η = 0.02", 120, 1.0);
    let mut second = run("bundle", 120, 0.85);
    first.regions = Some(regions());
    second.regions = Some(regions());
    let sweep: Vec<_> = (0..9).map(|i| run(&format!("seed={i}"), 60, 1.0 - 0.03 * f64::from(i))).collect();
    let odd = "</script><b>\"'&{{data}} %{y} #.:/";
    let mut hostile = run(odd, 40, 1.0);
    hostile.columns.push((odd.into(), vec![1.0; 40]));
    let odd_figure = Figure { id: odd.into(), title: odd.into(), x_label: odd.into(), ..figure() };
    let empty = ReportRun { name: "empty".into(), ..Default::default() };
    let pages = [
        ("one.html", render("Digits, even against odd", &[first.clone()], &Added::default())),
        ("two.html", render("Two ways to the same margin", &[first, second], &drawn(figure()))),
        ("long.html", render("5,000 rows", &[run("long", 5000, 1.0)], &Added::default())),
        ("sweep.html", render("A sweep", &sweep, &Added::default())),
        ("hostile.html", render(odd, &[hostile.clone(), hostile], &drawn(odd_figure))),
        ("empty.html", render("Nothing measured yet", &[empty], &Added::default())),
    ];
    let library = render("", &[], &Added::default()).len();
    for (name, page) in pages {
        // 5,000 rows of 28 columns, 20 bytes a number.
        assert!(page.len() - library < 3_000_000, "{name}: {} bytes", page.len() - library);
        // REPORT_DEMO=DIR keeps the pages, to look at them in a browser.
        if let Some(dir) = std::env::var_os("REPORT_DEMO") {
            std::fs::create_dir_all(&dir).expect("a directory");
            std::fs::write(std::path::Path::new(&dir).join(name), &page).expect("written");
        }
    }
}
