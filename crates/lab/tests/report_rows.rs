//! `rows.csv` read back: values, and refusals that name the place.

use latephase_lab::report::read_rows_csv;

#[test]
fn a_record_reads_back_with_its_gaps_and_infinities() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rows.csv");
    let text = "step,ln_loss,margin\n0,-0.1,NaN\n10,-1e-300,inf\n20,-2302.585092994046,-inf\n";
    std::fs::write(&path, text).expect("written");
    let rows = read_rows_csv(&path).expect("a valid record");
    assert_eq!(rows[1], ("ln_loss".to_string(), vec![-0.1, -1e-300, -2302.585092994046]));
    let margin = &rows[2].1;
    assert!(margin[0].is_nan() && margin[1] == f64::INFINITY && margin[2] == f64::NEG_INFINITY);
}

#[test]
fn a_header_alone_is_a_record_without_rows() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rows.csv");
    std::fs::write(&path, "step,margin\n").expect("written");
    assert_eq!(
        read_rows_csv(&path).expect("valid"),
        vec![("step".into(), vec![]), ("margin".into(), vec![])]
    );
}

#[test]
fn a_bad_record_is_refused_with_file_line_and_column() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("rows.csv");
    let refusal = |text: &str| {
        std::fs::write(&path, text).expect("written");
        read_rows_csv(&path).expect_err("a bad record").to_string()
    };
    let cell = refusal("step,margin\n0,0.1\n1,oops\n");
    assert!(cell.contains("rows.csv:3:") && cell.contains("`margin`") && cell.contains("oops"), "{cell}");
    let cut = refusal("step,margin\n0,0.1\n1\n");
    assert!(cut.contains("rows.csv:3:") && cut.contains("cut off"), "{cut}");
    let missing = read_rows_csv(&dir.path().join("none.csv")).expect_err("no such file");
    assert!(missing.is_io() && missing.to_string().contains("none.csv"), "{missing}");
}
