//! `latephase audit`.

use std::path::Path;

use latephase_lab::audit::{Audit, audit as look, is_picture, probes, report, text};
use latephase_lab::recipe::LIST;
use latephase_lab::source::Lookup;
use latephase_lab::store::write_whole;
use latephase_lab::{Error, Spec};
use toml::{Table, Value};

use crate::args;
use crate::exit::{Exit, Failure};
use crate::output::say;
use crate::run::move_aside;

/// Looks at weights made elsewhere, prints what is found and, where wanted, writes it down.
///
/// # Errors
/// Weights, model and data that do not fit; a directory that is there already.
pub fn audit(args: &args::Audit) -> Result<Exit, Failure> {
    if let Some(dir) = &args.out
        && std::fs::symlink_metadata(dir).is_ok()
        && !args.force
    {
        return Err(Failure::wrong(format!(
            "{} is there already; choose another directory with --out, or use --force, which moves it aside",
            dir.display()
        )));
    }
    let (spec, found) = examined(args)?;
    if let Some(dir) = &args.out {
        if std::fs::symlink_metadata(dir).is_ok() {
            let aside = move_aside(dir)?;
            eprintln!("moved {} to {}", dir.display(), aside.display());
        }
        write(dir, &spec, &found)?;
    }
    if args.json {
        say(&json(&found)?)?;
    } else {
        say(&text(&found))?;
        if let Some(dir) = &args.out {
            say(&format!("{}", dir.join("report.html").display()))?;
        }
    }
    Ok(Exit::Done)
}

fn json(found: &Audit) -> Result<String, Failure> {
    serde_json::to_string_pretty(found).map_err(|e| Failure::wrong(e.to_string()))
}

fn write(dir: &Path, spec: &Spec, found: &Audit) -> Result<(), Failure> {
    let during = |e: Error| Failure::during_run(&e);
    std::fs::create_dir_all(dir).map_err(|e| during(Error::io(dir, "create", e)))?;
    write_whole(&dir.join("audit.json"), json(found)?.as_bytes()).map_err(during)?;
    write_whole(&dir.join("spec.toml"), spec.resolved_toml()?.as_bytes()).map_err(during)?;
    write_whole(&dir.join("report.html"), report(found, spec)?.as_bytes()).map_err(during)
}

/// The spec that the arguments mean and what is found. Without a word on the loss, two classes are tried with one output and
/// with two.
fn examined(args: &args::Audit) -> Result<(Spec, Audit), Failure> {
    let given = Given::of(args)?;
    let lookup = Lookup::from_env();
    let attempt = |loss: &Value| -> Result<(Spec, Audit), Error> {
        let mut spec = given.spec(loss)?;
        let loaded = spec.data.load(spec.seed, &lookup).map_err(Error::from)?;
        let sets = [Some(&loaded.train), loaded.test.as_ref()];
        let limits = sets.into_iter().flatten().all(|set| is_picture(set.rows())).then_some((0.0, 1.0));
        spec.probes = probes(args.examples, limits);
        let found = look(&spec, &lookup).map_err(|e| spec.locate(e))?;
        Ok((spec, found))
    };
    if let Some(loss) = &given.loss {
        return Ok(attempt(loss)?);
    }
    let first = match attempt(&"logistic".into()) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    match attempt(&"cross-entropy".into()) {
        Ok(found) => Ok(found),
        // More than two classes: what logistic loss says of them is of no interest.
        Err(second) if first.to_string().contains("two classes") => Err(second.into()),
        Err(_) => Err(first.into()),
    }
}

/// What the arguments name.
struct Given {
    model: Value,
    data: Value,
    loss: Option<Value>,
    seed: Option<Value>,
}

impl Given {
    fn of(args: &args::Audit) -> Result<Given, Failure> {
        let model = Named::read(&args.model)?;
        let data = args.data.as_deref().map(Named::read).transpose()?;
        let lacking = |what: &str, key: &str| Failure::wrong(format!("{what} names no {key}"));
        let take = |named: &Named, key: &str| match named {
            Named::Whole(table) => table.get(key).cloned(),
            Named::Part(value) => Some(value.clone()),
        };
        let whole = |key: &str| match &model {
            Named::Whole(table) => table.get(key).cloned(),
            Named::Part(_) => None,
        };
        let seed_of = |named: &Named| match named {
            Named::Whole(table) => table.get("seed").cloned(),
            Named::Part(_) => None,
        };
        let seed = data.as_ref().map_or_else(|| seed_of(&model), seed_of);
        let of_data = match &data {
            Some(data) => take(data, "data"),
            None => whole("data"),
        };
        let of_data = of_data.ok_or_else(|| {
            Failure::wrong(
                "name the data, too: --data '{ kind = \"digits\" }', a TOML file, a run or a recipe",
            )
        })?;
        let loss = match args.loss.as_deref().map(Named::read).transpose()? {
            Some(loss) => Some(take(&loss, "loss").ok_or_else(|| lacking("--loss", "loss"))?),
            None => whole("loss"),
        };
        let mut model = match take(&model, "model").ok_or_else(|| lacking("--model", "model"))? {
            Value::Table(table) => table,
            kind => Table::from_iter([("kind".to_owned(), kind)]),
        };
        let init = [("kind", "file"), ("path", args.weights.as_str())];
        let init = init.map(|(key, value)| (key.to_owned(), Value::from(value)));
        model.insert("init".into(), Value::Table(Table::from_iter(init)));
        Ok(Given { model: Value::Table(model), data: of_data, loss, seed })
    }

    /// A spec that nothing is ever run of.
    fn spec(&self, loss: &Value) -> Result<Spec, Error> {
        let mut table: Table = toml::from_str(
            "algorithm = { kind = \"flow\", norm = \"l2\" }\nstop = { steps = 0 }\nprobes = []\n",
        )
        .map_err(Error::usage)?;
        let parts = [("model", Some(&self.model)), ("data", Some(&self.data)), ("loss", Some(loss))];
        for (key, value) in parts.into_iter().chain([("seed", self.seed.as_ref())]) {
            table.extend(value.map(|value| (key.to_owned(), value.clone())));
        }
        Spec::parse(&table.to_string(), "audit", &[])
    }
}

/// What a SPEC argument holds.
enum Named {
    /// A whole spec.
    Whole(Table),
    /// The value of one key of it.
    Part(Value),
}

impl Named {
    /// Inline TOML, a run directory, a TOML file, a recipe, or the bare name of a kind, in this order.
    fn read(what: &str) -> Result<Named, Failure> {
        let parse = |text: &str, file: &str| -> Result<Table, Failure> {
            let table: Result<Table, _> = toml::from_str(text);
            table.map_err(|e| Failure::wrong(format!("{file}: {}", e.message())))
        };
        if what.trim_start().starts_with(['{', '"', '\'']) {
            let mut table = parse(&format!("value = {what}"), what)?;
            return Ok(Named::Part(table.remove("value").unwrap_or(Value::Boolean(false))));
        }
        let path = Path::new(what);
        let file = if path.is_dir() { path.join("spec.toml") } else { path.to_owned() };
        if file.is_file() || what.ends_with(".toml") || path.is_dir() {
            let text = std::fs::read_to_string(&file).map_err(|e| Error::io(&file, "read", e))?;
            let table = parse(&text, &file.display().to_string())?;
            let is_part = table.contains_key("kind");
            return Ok(if is_part { Named::Part(Value::Table(table)) } else { Named::Whole(table) });
        }
        if LIST.iter().any(|recipe| recipe.name == what) {
            let input = crate::input::text(what)?;
            return Ok(Named::Whole(parse(&input.text, &input.file)?));
        }
        Ok(Named::Part(Value::from(what)))
    }
}
