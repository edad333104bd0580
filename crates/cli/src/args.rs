//! What can be typed: the commands, their arguments and examples.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Trains homogeneous networks far past the end of ordinary arithmetic and measures what they converge to.
#[derive(Debug, Parser)]
#[command(name = "latephase", version, max_term_width = 100, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    the run ended as its spec allows
  1    a claim was violated
  2    the spec, a file or the call is wrong
  3    another outcome: out of steps, diverged, chattering, precision, stationary
  4    reading or writing failed during a run, which can be resumed
  130  interrupted, and can be resumed";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a spec or a recipe's base spec in a new directory.
    #[command(after_help = "Examples:
  latephase run spec.toml
  latephase run quickstart --out here
  latephase run spec.toml seed=2 algorithm.pace.eta=0.01
  latephase run spec.toml --sweep seed=0..8 algorithm.norm=l1,l2,linf
  latephase run spec.toml -m 'seed=range(0,8)' algorithm.norm=l1,l2,linf --dry-run
  latephase run spec.toml --sweep seed=0..64 --out big --shard 2/8

Overrides name a key by its path; ranges are half-open; array values stand in brackets.
A directory that holds this very run, finished, is shown and not run again.

Axes of a sweep: a,b,c  choice(a,b,c)  0..8  range(0,8)  range(0,8,2). With -m every override of several values is one.
Shards count from 1 and may run at once, on one machine or many that share the directory:
  parallel latephase run spec.toml --sweep seed=0..64 --out big --quiet --shard {}/8 ::: 1 2 3 4 5 6 7 8
  latephase merge big")]
    Run(Run),
    /// Go on with an interrupted or killed run, or with a sweep.
    #[command(after_help = "Examples:
  latephase resume runs/quickstart-1a2b3c4d
  latephase resume runs/quickstart-1a2b3c4d --threads 8 --max-seconds 3600

The bytes are those of a run that was never interrupted.")]
    Resume(Resume),
    /// Merge the tables, bands and the page of a sweep whose shards have run.
    #[command(after_help = "Examples:
  latephase merge runs/spec-sweep-1a2b3c4d
  latephase merge big --json

It runs nothing: `latephase resume DIR` does what is left of a sweep.")]
    Merge {
        /// The directory of the sweep.
        dir: PathBuf,
        /// One JSON object instead of the table.
        #[arg(long)]
        json: bool,
    },
    /// List what a spec can name.
    #[command(after_help = "Examples:
  latephase list
  latephase list paces
  latephase list recipes --names")]
    List {
        /// What to list with its settings; the names of everything when absent.
        #[arg(value_parser = crate::list::kinds())]
        kind: Option<String>,
        /// Names alone, one a line, for scripts.
        #[arg(long, requires = "kind")]
        names: bool,
    },
    /// Hold the theorems against a run.
    #[command(after_help = "Examples:
  latephase check runs/quickstart-1a2b3c4d
  latephase check runs/quickstart-1a2b3c4d --twin
  latephase check runs/quickstart-1a2b3c4d --only lyu-li/approx-kkt --json

Statements about the flow are decided with a twin: the same run at half the step, kept in RUN/twin.
Exit code 1 says that a claim is violated.")]
    Check(Check),
    /// Write the report page of a run, or of several over each other.
    #[command(after_help = "Examples:
  latephase report runs/quickstart-1a2b3c4d
  latephase report runs/a runs/b runs/c --out together.html")]
    Report {
        /// Run directories.
        #[arg(required = true, value_name = "RUN")]
        runs: Vec<PathBuf>,
        /// The page [default: RUN/report.html, or ./report.html for several].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Compare two runs at equal loss.
    #[command(after_help = "Examples:
  latephase compare runs/gd-1a2b3c4d runs/sign-5e6f7a8b
  latephase compare runs/a runs/b --json

Columns are interpolated linearly in ln(-ln L) between the looks on either side of a level.")]
    Compare {
        /// The first run directory.
        a: PathBuf,
        /// The second.
        b: PathBuf,
        /// One JSON object instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Write runs in the format of another tool: TensorBoard, MLflow, numpy, pandas, Lightning.
    #[command(after_help = "Examples:
  latephase export runs/quickstart-1a2b3c4d --to tensorboard
  latephase export runs/a runs/b --to npz --out both.npz
  latephase export runs/quickstart-sweep-5e6f7a8b --to csv
  latephase export runs/a --to mlflow --python venv/bin/python

`latephase list exports` says what each format is. A directory of runs stands for all runs in it. TensorBoard's logarithmic
axis ends at about 0.1: the tag log10_loss is the loss in decades. MLflow's store is written by MLflow itself.")]
    Export(Export),
    /// Write a commented spec to start from.
    #[command(after_help = "Examples:
  latephase init spec.toml
  latephase init | less")]
    Init {
        /// The file, which must not be there; standard output when absent or `-`.
        file: Option<PathBuf>,
    },
    /// Print the works behind a spec, a recipe or a run.
    #[command(after_help = "Examples:
  latephase cite spec.toml
  latephase cite runs/quickstart-1a2b3c4d")]
    Cite {
        /// A spec file, a recipe's name or a run directory.
        #[arg(value_name = "SPEC|RECIPE|RUN")]
        what: String,
    },
    /// Check a spec against its data and print it with every default written out.
    #[command(after_help = "Examples:
  latephase check-spec spec.toml
  latephase check-spec spec.toml model.widths=[64,64]")]
    CheckSpec {
        /// A spec file or a recipe's name.
        #[arg(value_name = "SPEC|RECIPE")]
        spec: String,
        /// Changes to it.
        #[arg(value_name = "KEY=VALUE")]
        overrides: Vec<String>,
    },
    /// Look at weights made elsewhere: margins, KKT residuals, support, robustness, and what the loss had become.
    #[command(after_help = "Examples:
  latephase audit embedded:torch-digits.safetensors --model continue-torch
  latephase audit net.safetensors --model '{ kind = \"mlp\", widths = [32] }' --data '{ kind = \"digits\", train = 1000 }'
  latephase audit net.safetensors --model spec.toml --loss cross-entropy --out audit

WEIGHTS is what safetensors.torch.save_file(model.state_dict(), path) writes: F64, F32, F16 or BF16, with the names of a
torch.nn.Sequential. SPEC is inline TOML, a TOML file, a run directory or a recipe; of a whole spec the model, the data and the
loss are taken. `init = { kind = \"file\", path = \"net.safetensors\" }` goes on from the same weights.")]
    Audit(Audit),
    /// Print the degree calculus of a model layer by layer.
    #[command(after_help = "Examples:
  latephase degree quickstart
  latephase degree spec.toml model.bias=all --radius 1")]
    Degree {
        /// A spec file or a recipe's name.
        #[arg(value_name = "SPEC|RECIPE")]
        spec: String,
        /// Changes to it.
        #[arg(value_name = "KEY=VALUE")]
        overrides: Vec<String>,
        /// Bounds for inputs of norm up to this [default: the largest of the training set].
        #[arg(long, value_name = "R")]
        radius: Option<f64>,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Print the exact optima that the margins of a spec or a run are held against, with certified gaps.
    #[command(after_help = "Examples:
  latephase exact spec.toml
  latephase exact steepest-linear --norm linf --norm '{ kind = \"lp\", p = 3 }'
  latephase exact --run runs/quickstart-1a2b3c4d

Every bound is recomputed from the data alone: `value` is a margin that some theta has, `bound` one that none exceeds, gap
(bound - value)/bound. With --run they go into RUN/exact.json with the run's own margins, and onto the charts of its page.
Data that nothing separates end with code 3 and the examples that show it; a margin above its bound ends with code 1.")]
    Exact(Exact),
    /// Go to the end: the KKT point that the direction of a run is heading for, with its certificate.
    #[command(after_help = "Examples:
  latephase limit runs/quickstart-1a2b3c4d
  latephase limit runs/quickstart-1a2b3c4d --at -100 --method both
  latephase limit net.safetensors --spec spec.toml --out limit

The flow goes on at temperature zero in the clock ln rho until the direction turns by less than the tolerance per unit of it; the
short cut takes long steps on the margin problem itself, and Newton's method. They need not end at the same point: with
`both` the angle between the two is said. What is found goes into RUN/limit and onto the run's page: epsilon and delta with every
subgradient at kinks, the angle moved, the margins, and whether the point is a maximum or a saddle.
A residual above the tolerance ends with code 3, and says why.")]
    Limit(Limit),
    /// Search for a run that violates a claim or a conjecture of your own.
    #[command(after_help = "Examples:
  latephase refute sign-descent-raises-l2-margin
  latephase refute lyu-li/smoothed-margin-monotone --budget 600
  latephase refute mine.toml --seed 2 --out found
  latephase refute --list

CLAIM is the id of a claim, a conjecture that comes with the program, or a TOML file. A hit counts when it survives at smaller
steps, where the claim is about the flow, and in double-double; then it is shrunk, and DIR/spec.toml reproduces it.
The exit code is 1 for a violation, 0 for none within the budget, 130 after Ctrl-C, which keeps what was found.

A conjecture of your own:
  [claim]
  id = \"my-conjecture\"
  says = \"sign descent never lowers the l2 margin after separation\"
  of = \"steps\"                 # or \"flow\": a violation has to survive at smaller steps
  [claim.when]                   # algorithm, descent, norm, pace, loss, model, activation: a name or a list;
  norm = \"linf\"                # homogeneous, degree_at_least, degree_at_most
  [claim.check]
  kind = \"monotone\"            # column, direction = \"up\" | \"down\"; or
  column = \"margin\"            # limit (column, to, within), order (columns, the largest first),
  from = \"separation\"          # slope (column, against, log), bound (column): at_least, at_most
  tolerance = 1e-9               # from: separation, start, { step = 9 }, { log10_loss = -9 }, { part = 0.5 }
  where = { column = \"beta\", at_least = 0.5 }")]
    Refute(Refute),
    /// Run all of a recipe and hold it against the paper.
    #[command(after_help = "Examples:
  latephase recipe quickstart --quick
  latephase recipe quickstart --out reproduction
  latephase recipe mine.toml")]
    Recipe(Recipe),
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// A spec file or a recipe's name.
    #[arg(value_name = "SPEC|RECIPE")]
    pub spec: String,
    /// Changes to it.
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Run every combination of these values.
    #[arg(long, num_args = 1.., value_name = "KEY=VALUES")]
    pub sweep: Vec<String>,
    /// Sweep over every override that has several values, as Hydra does.
    #[arg(short = 'm', long)]
    pub multirun: bool,
    /// Print what would be run, and run nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Run the I-th of N parts of a sweep; `latephase merge DIR` puts them together.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    pub shard: Option<(usize, usize)>,
    /// Hydra's directories: multirun/DATE/TIME/N or outputs/DATE/TIME, with .hydra/*.yaml in each run's.
    #[arg(long)]
    pub hydra: bool,
    /// The directory [default: runs/NAME-HASH].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Begin anew: move what stands in the directory aside, to DIR.old-1.
    #[arg(long)]
    pub force: bool,
    /// How it is run.
    #[command(flatten)]
    pub stint: Stint,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run directory.
    pub dir: PathBuf,
    /// How it is run.
    #[command(flatten)]
    pub stint: Stint,
}

/// What changes no byte of the results.
#[derive(Debug, Args)]
pub struct Stint {
    /// Threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    /// Interrupt after this many seconds, with everything saved.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub max_seconds: Option<f64>,
    /// No progress on standard error.
    #[arg(long)]
    pub quiet: bool,
    /// One JSON object on standard output instead of the summary.
    #[arg(long)]
    pub json: bool,
    /// Seconds between checkpoints.
    #[arg(long, hide = true, default_value = "30", value_parser = seconds)]
    pub checkpoint_seconds: f64,
}

/// `audit`.
#[derive(Debug, Args)]
pub struct Audit {
    /// A safetensors file.
    pub weights: String,
    /// The model that they are of.
    #[arg(long, value_name = "SPEC")]
    pub model: String,
    /// The training and test sets [default: those beside the model].
    #[arg(long, value_name = "SPEC")]
    pub data: Option<String>,
    /// The loss [default: the one beside the model, else logistic for one output and cross-entropy for more].
    #[arg(long, value_name = "SPEC")]
    pub loss: Option<String>,
    /// Examples of each set whose robustness is measured; 0 for none.
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub examples: usize,
    /// Write report.html, audit.json and spec.toml into this new directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Move what stands in the directory aside, to DIR.old-1.
    #[arg(long, requires = "out")]
    pub force: bool,
    /// One JSON object on standard output instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `exact`.
#[derive(Debug, Args)]
pub struct Exact {
    /// A spec file or a recipe's name.
    #[arg(value_name = "SPEC|RECIPE", required_unless_present = "run")]
    pub spec: Option<String>,
    /// Changes to it.
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// A run directory instead: its spec, its theta and its margins.
    #[arg(long, value_name = "RUN", conflicts_with = "spec")]
    pub run: Option<PathBuf>,
    /// Margins in this norm only; may be given several times [default: those that the run measures].
    #[arg(long, value_name = "NORM")]
    pub norm: Vec<String>,
    /// This reference only; may be given several times.
    #[arg(long, value_name = "ID")]
    pub only: Vec<String>,
    /// One JSON object on standard output instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// `export`.
#[derive(Debug, Args)]
pub struct Export {
    /// Run directories, or directories of runs such as a sweep's.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// The format.
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub to: &'static str,
    /// The file or directory [default: one in the current directory, named by the format].
    #[arg(long, value_name = "PATH")]
    pub out: Option<PathBuf>,
    /// Replace files that are there; log a run to MLflow again that is in the store.
    #[arg(long)]
    pub force: bool,
    /// The Python that has MLflow [default: python3].
    #[arg(long, value_name = "FILE")]
    pub python: Option<PathBuf>,
}

/// `limit`.
#[derive(Debug, Args)]
pub struct Limit {
    /// A run directory; a snapshot or checkpoint within one; or weights, with --spec.
    #[arg(value_name = "RUN|CHECKPOINT")]
    pub from: PathBuf,
    /// Begin at the snapshot of this log10 of the loss instead of the end of the run.
    #[arg(long, value_name = "LEVEL", allow_hyphen_values = true, conflicts_with = "spec")]
    pub at: Option<f64>,
    /// The spec file or recipe whose model, data and loss the weights are of.
    #[arg(long, value_name = "SPEC|RECIPE")]
    pub spec: Option<String>,
    /// The flow, the short cut, or both.
    #[arg(long, value_enum, default_value = "short-cut")]
    pub method: By,
    /// Residual over the norm of theta that counts as a KKT point, and speed per unit of ln rho that ends the flow.
    #[arg(long, value_name = "T", default_value_t = 1e-3)]
    pub tolerance: f64,
    /// End each way after this many seconds, with what there is.
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub max_seconds: Option<f64>,
    /// The directory [default: RUN/limit].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// No progress on standard error.
    #[arg(long)]
    pub quiet: bool,
    /// One JSON object on standard output instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// The ways to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// On in the clock ln rho.
    Flow,
    /// Long steps, and Newton's method.
    ShortCut,
    /// One after the other.
    Both,
}

/// `refute`.
#[derive(Debug, Args)]
pub struct Refute {
    /// A claim's id, a conjecture's name, or a TOML file.
    #[arg(value_name = "CLAIM|FILE", required_unless_present = "list")]
    pub claim: Option<String>,
    /// Seconds to search for.
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub budget: f64,
    /// Seed of the proposals.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where a violation is saved [default: runs/refute-CLAIM].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// List the conjectures that come with the program, and the claims that can be searched.
    #[arg(long)]
    pub list: bool,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    /// No progress on standard error.
    #[arg(long)]
    pub quiet: bool,
    /// One JSON object on standard output instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `recipe`.
#[derive(Debug, Args)]
pub struct Recipe {
    /// Its name, as `latephase list recipes` shows them, or a file with a `[recipe]` table.
    #[arg(value_name = "RECIPE|FILE")]
    pub name: String,
    /// The short version, which finishes in seconds.
    #[arg(long)]
    pub quick: bool,
    /// The size of the paper, where the recipe has one: hours or days.
    #[arg(long, conflicts_with = "quick")]
    pub full: bool,
    /// The directory [default: runs/recipe-NAME, with -quick or -full at its end].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,
    /// No progress on standard error.
    #[arg(long)]
    pub quiet: bool,
    /// One JSON object on standard output instead of the tables.
    #[arg(long)]
    pub json: bool,
}

/// Most seconds that a duration is made of: a century, far below where `Duration` overflows.
const LONGEST: f64 = 3.2e9;

/// Most parts that a sweep is run in.
const SHARDS: usize = 100_000;

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match parts {
        Some((i, n)) if (1..=n).contains(&i) && n <= SHARDS => Ok((i, n)),
        Some((0, n)) => Err(format!("shards count from 1: 1/{n} is the first")),
        _ => Err(format!("`{text}` is no part of a whole; write 2/8 for the second of eight")),
    }
}

fn format(text: &str) -> Result<&'static str, String> {
    latephase_lab::export::find(text).map(|format| format.name()).map_err(|e| e.to_string())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.0..=LONGEST).contains(&s) => Ok(s),
        _ => Err(format!("`{text}` is not a number of seconds from 0 to {LONGEST:e}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_at_least_two_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = help.lines().filter(|l| l.starts_with("  latephase ")).count();
            assert!(examples >= 2, "{} shows {examples}", command.get_name());
        }
    }

    #[test]
    fn shards_count_from_one() {
        assert_eq!(shard("2/8"), Ok((2, 8)));
        for wrong in ["0/8", "9/8", "2", "a/b", "1/0", "1/200000"] {
            assert!(shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn seconds_are_finite_and_not_negative() {
        assert_eq!(seconds("0.05"), Ok(0.05));
        for wrong in ["-1", "NaN", "inf", "1e300", "ten"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}

/// Arguments of `check`.
#[derive(Debug, Default, Args)]
pub struct Check {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Make the run at half the step first, where it is not there, and decide statements about the flow with it.
    #[arg(long)]
    pub twin: bool,
    /// Claims to check; all by default.
    #[arg(long, value_name = "ID", num_args = 1..)]
    pub only: Vec<String>,
    /// Check a claim of your own from a TOML file instead; `latephase refute --help` shows one.
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    pub claim: Option<PathBuf>,
    /// Show those that do not apply too.
    #[arg(long)]
    pub all: bool,
    /// Threads of the twin; all cores by default.
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// No progress.
    #[arg(long)]
    pub quiet: bool,
}
